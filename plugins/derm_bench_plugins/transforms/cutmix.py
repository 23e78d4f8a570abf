"""CutMix: Yun et al., ICCV 2019 (their equations 1 and 2).

x = M x_i + (1 - M) x_j with M zero in a rectangle: lambda ~ Beta(alpha, alpha), alpha 1; sides W sqrt(1 - lambda) and
H sqrt(1 - lambda), centre uniform over the image. Where the rectangle extends beyond the edge it is cut off, and labels
are mixed by the area that is left, as in the paper's code. One lambda, rectangle and permutation j per batch. The paper
mixes every batch on ImageNet (`p` 1) and half of them on CIFAR (`p` 0.5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from derm_bench_plugins.transforms.beta import Beta

if TYPE_CHECKING:
    from derm_bench.specs import Task


class Cutmix:
    """(images [N,C,H,W], targets [N,K], generator) -> images and soft targets of the same shapes."""

    def __init__(self, options: Any, task: Task) -> None:
        self.p, self.beta = options.p, Beta(options.alpha, task.device)

    def __call__(
        self, images: torch.Tensor, targets: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        other = torch.randperm(len(images), generator=generator, device=generator.device)
        inside = self.rectangle(images.shape[2], images.shape[3], generator)
        return (
            torch.where(inside, images[other], images),
            torch.lerp(targets, targets[other], inside.float().mean()),
        )

    def rectangle(self, height: int, width: int, generator: torch.Generator) -> torch.Tensor:
        """bool [H,W]: where the other image shows; nowhere, with probability 1 - p."""
        side = (1 - self.beta(1, generator)).sqrt()
        centre_x, centre_y, chance = torch.rand(3, generator=generator, device=generator.device)
        rows = _between(height, centre_y, side).view(-1, 1)
        shown: torch.Tensor = rows & _between(width, centre_x, side) & (chance < self.p)
        return shown


def _between(length: int, centre: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """bool [length]: the cells of a stretch of `share` of the length about a whole cell at `centre`, a share too."""
    cells, middle = torch.arange(length, device=centre.device), (centre * length).floor()
    half = (share * length).floor().div(2, rounding_mode="floor")
    return (cells >= middle - half) & (cells < middle + half)
