"""RICAP, random image cropping and patching: Takahashi, Matsubara and Uehara, ACML 2018 (their algorithm 1).

| in the paper | here |
|---|---|
| boundary (w, h): w = round(W w'), h = round(H h'), w' and h' ~ Beta(beta, beta), beta 0.3 | the same; one per batch |
| four images patched: upper left, upper right, lower left, lower right | four permutations of the batch |
| crops of (w, h), (W - w, h), (w, H - h), (W - w, H - h) at uniform places | one place per quarter and batch |
| loss: sum over the four of area times cross-entropy | soft targets, in which cross-entropy is linear |

The paper mixes every batch (`p` 1). Paper 000 compares with "RICAP-CNN" without naming the network, so that any
classifier of the matrix may be used as the CNN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from derm_bench_plugins.transforms.beta import Beta, happens

if TYPE_CHECKING:
    from derm_bench.specs import Task


@dataclass(frozen=True)
class Patches:
    """The random draws of one batch, int64: the boundary (scalars) and, per quarter, the image of the batch that each
    row uses ([4,N]), and the size and the upper left corner of the crop ([4] each)."""

    boundary: tuple[torch.Tensor, torch.Tensor]
    rows: torch.Tensor
    widths: torch.Tensor
    heights: torch.Tensor
    left: torch.Tensor
    top: torch.Tensor


class Ricap:
    """(images [N,C,H,W], targets [N,K], generator) -> images and soft targets of the same shapes."""

    def __init__(self, options: Any, task: Task) -> None:
        self.p, self.beta = options.p, Beta(options.beta, task.device)

    def __call__(
        self, images: torch.Tensor, targets: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        height, width = images.shape[2:]
        drawn = self.draw(len(images), height, width, generator)
        shares = drawn.widths * drawn.heights / (width * height)
        mixed, joined = patched(images, drawn), (shares.view(4, 1, 1) * targets[drawn.rows]).sum(dim=0)
        chosen = happens(self.p, generator)
        return torch.where(chosen, mixed, images), torch.where(chosen, joined, targets)

    def draw(self, n: int, height: int, width: int, generator: torch.Generator) -> Patches:
        """Draw the boundary, the images and the positions of the crops of one batch of n images."""
        where, device = self.beta(2, generator), generator.device
        w, h = (where[0] * width).round().long(), (where[1] * height).round().long()
        widths, heights = torch.stack([w, width - w] * 2), torch.stack([h, h, height - h, height - h])
        rows = torch.stack([torch.randperm(n, generator=generator, device=device) for _ in range(4)])
        place = torch.rand(2, 4, generator=generator, device=device)
        left, top = _below(place[0], width - widths + 1), _below(place[1], height - heights + 1)
        return Patches((w, h), rows, widths, heights, left, top)


def patched(images: torch.Tensor, drawn: Patches) -> torch.Tensor:
    """Return the four crops joined into images.

    They are gathered pixel by pixel, because the sizes of the crops are values on the device and cannot be shapes of
    tensors.
    """
    n, channels, height, width = images.shape
    w, h = drawn.boundary
    y = torch.arange(height, device=images.device).view(-1, 1)
    x = torch.arange(width, device=images.device).view(1, -1)
    lower, right = (y >= h).long(), (x >= w).long()
    quarter = 2 * lower + right
    pixel = (y - h * lower + drawn.top[quarter]) * width + x - w * right + drawn.left[quarter]
    index = drawn.rows[quarter.flatten()].T * (height * width) + pixel.flatten()
    flat = images.permute(0, 2, 3, 1).reshape(-1, channels)
    return flat[index.flatten()].view(n, height, width, channels).permute(0, 3, 1, 2)


def _below(share: torch.Tensor, end: torch.Tensor) -> torch.Tensor:
    """Return int64 values that are uniform in 0 to end - 1 if `share` is uniform in [0,1)."""
    return torch.minimum((share * end).long(), end - 1)
