"""Distances of pixels by which copies are recognised: mirrored, shifted or compressed again as they may be.

Images are compared at 16 x 16 pixels, without a margin of 1/32 of the side. A sample is compared as it is and mirrored
(left and right, up and down, both), each moved by up to that margin in both directions, and the least distance counts.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch.nn.functional import adaptive_avg_pool2d

SIDE = 16
MARGIN = 32
"""The margin is this part of the side."""
CHUNK = 1024
MIRRORED: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-1, -2))


def pixel_distances(samples: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return the least root mean square difference, float64 [Q,N] in 0..255, between uint8 images [Q,3,S,S] in any of
    their variants and [N,3,S,S]."""
    side = real.shape[-1]
    margin = max(1, round(side / MARGIN)) if side > 2 else 0
    known = torch.cat([_reduced(part, margin, margin, margin) for part in real.split(CHUNK)])
    best = torch.full((len(samples), len(real)), math.inf)
    for axes in MIRRORED:
        turned = samples.flip(axes) if axes else samples
        for up, left in itertools.product(range(0, 2 * margin + 1, max(1, margin)), repeat=2):
            variant = _reduced(turned, up, left, margin)
            best = torch.minimum(best, torch.cdist(variant, known))
    best *= known.shape[1] ** -0.5
    # The matrix product behind a distance is exact to about this.
    return torch.where(best < 0.05, 0.0, best).double()


def _reduced(images: torch.Tensor, up: int, left: int, margin: int) -> torch.Tensor:
    """The part of each image that is left without a margin, at 16 x 16 pixels: float32 [N,768]."""
    side = images.shape[-1] - 2 * margin
    part = images[..., up : up + side, left : left + side].float()
    return adaptive_avg_pool2d(part, min(SIDE, side)).flatten(1)
