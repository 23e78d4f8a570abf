"""CutMix: Yun et al., ICCV 2019 (their equations 1 and 2).

x = M x_i + (1 - M) x_j, where M is zero in a rectangle with sides W sqrt(1 - lambda) and H sqrt(1 - lambda), lambda ~
Beta(alpha, alpha) with alpha 1, and a centre that is uniform over the image. A rectangle that extends beyond the edge
is cut off, and labels are mixed by the remaining area, as in the paper's code. Each batch has one lambda, one rectangle
and one permutation j. The paper mixes every batch on ImageNet (`p` 1) and half of the batches on CIFAR (`p` 0.5).
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
        """Return bool [H,W], true where the other image is shown; with probability 1 - p, it is false everywhere."""
        side = (1 - self.beta(1, generator)).sqrt()
        centre_x, centre_y, chance = torch.rand(3, generator=generator, device=generator.device)
        rows = _between(height, centre_y, side).view(-1, 1)
        shown: torch.Tensor = rows & _between(width, centre_x, side) & (chance < self.p)
        return shown


def _between(length: int, centre: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Return bool [length], true in an interval of `share` of the length around the cell at the fraction `centre`."""
    cells, middle = torch.arange(length, device=centre.device), (centre * length).floor()
    half = (share * length).floor().div(2, rounding_mode="floor")
    return (cells >= middle - half) & (cells < middle + half)
