"""Interpolation between two noise vectors of a generator, by noise that is as likely as both ends."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def spherical(a: torch.Tensor, b: torch.Tensor, share: float) -> torch.Tensor:
    """Noise [n,...] at `share` in [0,1] of the great circle from `a` to `b` (White 2016, slerp), on which it is as long
    as normal noise is; of the straight line where both point in the same or in opposite directions. `a` is at 0, `b`
    at 1."""
    unit_a, unit_b = (F.normalize(side.flatten(1), dim=1) for side in (a, b))
    angle = (unit_a * unit_b).sum(dim=1).clamp(-1, 1).acos().view(-1, *[1] * (a.ndim - 1))
    sine = angle.sin()
    curved = ((1 - share) * angle).sin() / sine * a + (share * angle).sin() / sine * b
    return torch.where(sine > 1e-4, curved, straight(a, b, share))


def straight(a: torch.Tensor, b: torch.Tensor, share: float) -> torch.Tensor:
    """Noise [n,...] at `share` in [0,1] of the line from `a` to `b`, which stays inside the cube of uniform noise."""
    return (1 - share) * a + share * b


def between(a: torch.Tensor, b: torch.Tensor, share: float) -> torch.Tensor:
    """`straight` where all of the noise lies in [-1,1], as uniform noise does, else `spherical`."""
    uniform = bool(a.abs().max() <= 1) and bool(b.abs().max() <= 1)
    return (straight if uniform else spherical)(a, b, share)
