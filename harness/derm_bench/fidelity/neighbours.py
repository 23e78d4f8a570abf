"""Precision, recall, density, coverage and the two-sample accuracy: how far two sets of features lie in each other's
neighbourhoods.

Features are float64 [N,D]. The neighbourhood of an image is the ball around it that reaches to its k-th nearest
neighbour on its own side, not counting itself; k = 5 unless it is given, or the number of images of the side minus one
if that is less.
Distances are Euclidean. A point on the boundary is outside, as in the authors' code, so that equal sets have density
1.

    density    1/(kM) sum_j sum_i [y_j in ball of x_i]              Naeem et al. 2020, eq. 4
    coverage   1/N sum_i [some y_j in ball of x_i]                  Naeem et al. 2020, eq. 5
    precision  1/M sum_j [y_j in some ball of the x_i]              Kynkaanniemi et al. 2019, eq. 1 and 2
    recall     1/N sum_i [x_i in some ball of the y_j]              the same with the sides exchanged
    accuracy   leave-one-out accuracy of a nearest neighbour        Lopez-Paz and Oquab 2017, sect. 2
               that tells the sides apart

x_i are N real and y_j M synthetic images. All depend on N, M and k: compare only values of equal N and M. Two samples
of the same distribution with N = M have an expected density of 1 and coverage of about 1 - 2^-k = 0.97.

Intervals are the delete-a-group jackknife intervals of `distances`. Distances are computed once, and the nearest `KEPT`
neighbours of each image are stored to compute the radii without a group.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from derm_bench.fidelity.distances import GROUPS, Floats, Indices, Interval, deal, jackknife, require_sides

K = 5
# Nearest neighbours stored for each image. Leaving out a twentieth of the images rarely leaves fewer than K of them.
KEPT = 64
MAX_K = 32
"""The largest k that may be asked for: half of the stored neighbours."""
# Squared distances below this share of the largest squared length are attributed to rounding and count as 0.
SAME = 1e-12
# A point is inside a ball if its squared distance is smaller by more than this share, so that ties are outside.
RIM = 1e-9


def density(real: Floats, fake: Floats, groups: int = GROUPS, k: int = K) -> Interval:
    """Return the mean number of real balls that contain a synthetic image, divided by k: at least 0, unbounded
    above."""
    return _measured(real, fake, groups, k, lambda inside: float(inside.sum()) / inside.shape[1], per_k=True)


def coverage(real: Floats, fake: Floats, groups: int = GROUPS, k: int = K) -> Interval:
    """Return the share of real balls that contain a synthetic image, in [0,1]."""
    return _measured(real, fake, groups, k, lambda inside: float(inside.any(dim=1).double().mean()), high=1.0)


def precision(real: Floats, fake: Floats, groups: int = GROUPS, k: int = K) -> Interval:
    """Return the share of synthetic images inside a real ball, in [0,1]."""
    return _measured(real, fake, groups, k, lambda inside: float(inside.any(dim=0).double().mean()), high=1.0)


def recall(real: Floats, fake: Floats, groups: int = GROUPS, k: int = K) -> Interval:
    """Return the share of real images inside the ball of a synthetic image, in [0,1]."""
    return precision(fake, real, groups, k)


def two_sample_accuracy(real: Floats, fake: Floats, groups: int = GROUPS) -> Interval:
    """Return how often the nearest other image of an image is on its own side, in [0,1]: 0.5 for equal distributions
    and equal numbers, 1 if the sides lie apart, less than 0.5 if synthetic images are copies of the real ones. An image
    whose nearest images of both sides are equally far counts half.

    `groups=0` omits the interval. Raises ValueError for fewer than two images per side.
    """
    require_sides(real, fake)
    x, y = (torch.from_numpy(np.ascontiguousarray(side)) for side in (real, fake))
    own = [_squared(side, side).fill_diagonal_(math.inf) for side in (x, y)]
    across = _squared(x, y)

    def value(without: tuple[Indices, Indices] | None) -> float:
        keep = [
            _kept(len(side), without and gone)
            for side, gone in zip((x, y), without or (None, None), strict=True)
        ]
        correct = 0.0
        for side, table in ((0, across), (1, across.T)):
            alike = own[side][keep[side]][:, keep[side]].amin(1)
            other = table[keep[side]][:, keep[1 - side]].amin(1)
            correct += float((alike < other).sum()) + float((alike == other).sum()) / 2
        return correct / float(keep[0].sum() + keep[1].sum())

    whole = value(None)
    low, top = jackknife(whole, [value(pair) for pair in deal(len(x), len(y), groups)])
    return Interval(whole, float(np.maximum(low, 0.0)), float(np.minimum(top, 1.0)))


def _measured(
    centres: Floats,
    points: Floats,
    groups: int,
    k_wanted: int,
    measure: Callable[[torch.Tensor], float],
    *,
    per_k: bool = False,
    high: float = math.inf,
) -> Interval:
    """Apply `measure` to the bool table [N,M] of points inside the balls of centres. Returns the value with its
    interval, clipped to [0, high].

    `groups=0` omits the interval. Raises ValueError for fewer than two images per side.
    """
    require_sides(centres, points)
    x, y = (torch.from_numpy(np.ascontiguousarray(side)) for side in (centres, points))
    balls, between = _Balls(x), _squared(x, y)

    def value(without: tuple[Indices, Indices] | None) -> float:
        keep_x, keep_y = _kept(len(x), without and without[0]), _kept(len(y), without and without[1])
        k = min(k_wanted, int(keep_x.sum()) - 1)
        inside = between < (balls.radii(k, keep_x) * (1 - RIM))[:, None]
        if without is not None:
            inside = inside[keep_x][:, keep_y]
        return measure(inside) / (k if per_k else 1)

    whole = value(None)
    low, top = jackknife(whole, [value(pair) for pair in deal(len(x), len(y), groups)])
    return Interval(whole, float(np.maximum(low, 0.0)), float(np.minimum(top, high)))


class _Balls:
    """The nearest other rows of each row of `x`: squared distances and indices, in order of distance."""

    def __init__(self, x: torch.Tensor) -> None:
        self.table = _squared(x, x).fill_diagonal_(math.inf)
        self.near, self.where = torch.topk(self.table, min(KEPT, len(x) - 1), dim=1, largest=False)

    def radii(self, k: int, keep: torch.Tensor) -> torch.Tensor:
        """Return the squared distance [N] of each row to its k-th nearest row within `keep` (bool [N])."""
        rank = keep[self.where].cumsum(dim=1)
        squares = self.near.gather(1, (rank == k).double().argmax(dim=1, keepdim=True))[:, 0]
        short = rank[:, -1] < k  # too many of the stored neighbours are left out
        if bool(short.any()):
            squares[short] = self.table[short][:, keep].kthvalue(k, dim=1).values
        return squares


def _squared(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return squared distances [N,M] by one matrix product, relative to the mean of x for numerical precision."""
    centre = x.mean(0)
    x, y = x - centre, y - centre
    long_x, long_y = x.square().sum(1), y.square().sum(1)
    table = torch.addmm(long_x[:, None] + long_y, x, y.T, alpha=-2)
    scale = float(torch.maximum(long_x.max(), long_y.max()))
    return torch.where(table < SAME * scale, 0.0, table)


def _kept(n: int, gone: Indices | None) -> torch.Tensor:
    keep = torch.ones(n, dtype=torch.bool)
    if gone is not None:
        keep[torch.from_numpy(gone)] = False
    return keep
