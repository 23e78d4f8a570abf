"""Image transforms on the device: per-image affine maps, which are composed into one resampling.

A transform is a function of (float images [N,3,S,S] in [0,1], torch.Generator). One with a method
`matrices(n, generator)` is affine: float32 [n,3,3], mapping homogeneous output coordinates to input
coordinates, both in [-1,1] from edge to edge (x right, y down).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch.nn import functional as F

ImageTransform = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def uniform(n: int, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    """Draw float32 [n] ~ U(low, high), one number per image, on the device of the generator."""
    return torch.rand(n, generator=generator, device=generator.device) * (high - low) + low


def warp(images: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Sample images [N,C,S,S] through `matrices` [N,3,3] with bilinear interpolation. Images are reflected beyond the
    edge, since a classifier could learn black corners."""
    theta = matrices[:, :2].to(images.device, images.dtype)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def rotation(degrees: torch.Tensor) -> torch.Tensor:
    """Return matrices [n,3,3] of counter-clockwise rotations by `degrees` [n]."""
    angle = torch.deg2rad(degrees)
    cos, sin = angle.cos(), angle.sin()
    matrices = identity(len(degrees), degrees.device)
    matrices[:, 0, 0], matrices[:, 0, 1] = cos, -sin
    matrices[:, 1, 0], matrices[:, 1, 1] = sin, cos
    return matrices


def identity(n: int, device: torch.device) -> torch.Tensor:
    """Return n identity matrices, float32 [n,3,3], whose entries can be overwritten."""
    return torch.eye(3, device=device).repeat(n, 1, 1)


def is_affine(transform: ImageTransform) -> bool:
    return hasattr(transform, "matrices")


def compose(transforms: Sequence[ImageTransform]) -> list[ImageTransform]:
    """Return the transforms with consecutive affine ones joined into one, so that images are resampled and blurred
    once."""
    joined: list[ImageTransform] = []
    for affine, run in groupby(transforms, key=is_affine):
        members = list(run)
        joined += [ComposedAffine(members)] if affine and len(members) > 1 else members
    return joined


class ComposedAffine:
    """A composition of affine transforms, in the order in which they are applied and draw their parameters."""

    def __init__(self, members: Sequence[ImageTransform]) -> None:
        self.members = members

    def matrices(self, n: int, generator: torch.Generator) -> torch.Tensor:
        total = identity(n, generator.device)
        for member in self.members:
            total = total @ member.matrices(n, generator)  # type: ignore[attr-defined]
        return total

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return warp(images, self.matrices(len(images), generator))
