"""Interpolation between two noise vectors of a generator, through noise that is as likely as both ends."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def spherical(a: torch.Tensor, b: torch.Tensor, share: float) -> torch.Tensor:
    """Return the noise [n,...] at `share` in [0,1] on the great circle from `a` (0) to `b` (1) (White 2016, slerp),
    which keeps the length typical of normal noise. If `a` and `b` point in the same or in opposite directions, the
    straight line is used."""
    unit_a, unit_b = (F.normalize(side.flatten(1), dim=1) for side in (a, b))
    angle = (unit_a * unit_b).sum(dim=1).clamp(-1, 1).acos().view(-1, *[1] * (a.ndim - 1))
    sine = angle.sin()
    curved = ((1 - share) * angle).sin() / sine * a + (share * angle).sin() / sine * b
    return torch.where(sine > 1e-4, curved, straight(a, b, share))


def straight(a: torch.Tensor, b: torch.Tensor, share: float) -> torch.Tensor:
    """Return the noise [n,...] at `share` in [0,1] on the line from `a` to `b`, inside the cube of uniform noise."""
    return (1 - share) * a + share * b


def between(a: torch.Tensor, b: torch.Tensor, share: float) -> torch.Tensor:
    """Interpolate with `straight` if all values are in [-1,1], as for uniform noise, and with `spherical` otherwise."""
    uniform = bool(a.abs().max() <= 1) and bool(b.abs().max() <= 1)
    return (straight if uniform else spherical)(a, b, share)
