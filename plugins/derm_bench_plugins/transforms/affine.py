"""Geometric image transforms: one affine map per image. The feed combines consecutive maps into one resampling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from derm_bench.training.augment import identity, rotation, uniform, warp

if TYPE_CHECKING:
    from derm_bench.specs import Task


class Affine:
    """An image transform defined by `matrices(n, generator)`, float32 [n,3,3], from output to input coordinates."""

    def __init__(self, options: Any, task: Task) -> None:
        self.options = options

    def matrices(self, n: int, generator: torch.Generator) -> torch.Tensor:
        raise TypeError(f"{type(self).__name__} must define matrices()")

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return warp(images, self.matrices(len(images), generator))


class _Flip(Affine):
    axis: int

    def matrices(self, n: int, generator: torch.Generator) -> torch.Tensor:
        flipped = uniform(n, 0, 1, generator) < self.options.p
        matrices = identity(n, generator.device)
        matrices[:, self.axis, self.axis] = torch.where(flipped, -1.0, 1.0)
        return matrices

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Flip the images exactly: a flip that is not combined with other maps needs no resampling."""
        flipped = self.matrices(len(images), generator)[:, self.axis, self.axis] < 0
        mirror = images.flip(3 - self.axis)
        return torch.where(flipped.to(images.device).view(-1, 1, 1, 1), mirror, images)


class HFlip(_Flip):
    axis = 0


class VFlip(_Flip):
    axis = 1


class Rotate(Affine):
    def matrices(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return rotation(uniform(n, -self.options.degrees, self.options.degrees, generator))


class Shear(Affine):
    def matrices(self, n: int, generator: torch.Generator) -> torch.Tensor:
        limit = self.options.degrees
        along_x = identity(n, generator.device)
        along_y = identity(n, generator.device)
        along_x[:, 0, 1] = torch.deg2rad(uniform(n, -limit, limit, generator)).tan()
        along_y[:, 1, 0] = torch.deg2rad(uniform(n, -limit, limit, generator)).tan()
        return along_x @ along_y


class Scale(Affine):
    def matrices(self, n: int, generator: torch.Generator) -> torch.Tensor:
        size = uniform(n, 1 - self.options.amount, 1 + self.options.amount, generator)
        matrices = identity(n, generator.device)
        matrices[:, 0, 0] = matrices[:, 1, 1] = 1 / size
        return matrices


class Translate(Affine):
    def matrices(self, n: int, generator: torch.Generator) -> torch.Tensor:
        limit = 2 * self.options.fraction  # the side has length 2 in these coordinates
        matrices = identity(n, generator.device)
        matrices[:, 0, 2] = uniform(n, -limit, limit, generator)
        matrices[:, 1, 2] = uniform(n, -limit, limit, generator)
        return matrices


class Aspect(Affine):
    """Stretches x by the root of a ratio and y by the inverse of that root. The logarithm of the ratio is uniform."""

    def matrices(self, n: int, generator: torch.Generator) -> torch.Tensor:
        limit = math.log(1 + self.options.amount) / 2
        stretch = uniform(n, -limit, limit, generator).exp()
        matrices = identity(n, generator.device)
        matrices[:, 0, 0], matrices[:, 1, 1] = 1 / stretch, stretch
        return matrices


class Crop(Affine):
    """Cuts out a square at a uniform position within the image."""

    def matrices(self, n: int, generator: torch.Generator) -> torch.Tensor:
        side = uniform(n, self.options.least, 1, generator)
        matrices = identity(n, generator.device)
        matrices[:, 0, 0] = matrices[:, 1, 1] = side
        matrices[:, 0, 2] = uniform(n, -1, 1, generator) * (1 - side)
        matrices[:, 1, 2] = uniform(n, -1, 1, generator) * (1 - side)
        return matrices
