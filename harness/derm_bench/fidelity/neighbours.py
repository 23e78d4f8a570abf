"""Precision, recall, density and coverage: how two sets of features lie in each other's neighbourhoods.

Features are float64 [N,D]. The neighbourhood of an image is the ball around it that reaches to its k-th nearest
neighbour of its own side, itself not counted; k = 5, or one fewer than the images of the side where there are fewer
than six. Distances are Euclidean and a point on the rim lies outside, as in the authors' code: equal sets have
density 1 then.

    density    1/(kM) sum_j sum_i [y_j in ball of x_i]              Naeem et al. 2020, eq. 4
    coverage   1/N sum_i [some y_j in ball of x_i]                  Naeem et al. 2020, eq. 5
    precision  1/M sum_j [y_j in some ball of the x_i]              Kynkaanniemi et al. 2019, eq. 1 and 2
    recall     1/N sum_i [x_i in some ball of the y_j]              the same with the sides exchanged

x_i are N real and y_j M synthetic images. All depend on N, M and k: compare only values of equal N and M. Two samples
of one distribution with N = M have an expected density of 1 and coverage of about 1 - 2^-k = 0.97.

Intervals are the delete-a-group jackknife of `distances`. Distances are taken once, and of the neighbours of each image
the nearest `KEPT` are remembered, from which the radii without a group follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from derm_bench.fidelity.distances import GROUPS, Floats, Indices, Interval, deal, jackknife, require_sides

K = 5
# Nearest neighbours remembered for each image: leaving out a twentieth hardly ever takes more than these but K.
KEPT = 64
# Squared distances below this share of the largest squared length are those of equal images, but for rounding.
SAME = 1e-12
# A point is inside a ball if its squared distance is smaller by more than this share; so ties stay outside.
RIM = 1e-9


def density(real: Floats, fake: Floats, groups: int = GROUPS) -> Interval:
    """Mean number of real balls that a synthetic image lies in, over k; 0 where it lies in none, unbounded above."""
    return _measured(real, fake, groups, lambda inside: float(inside.sum()) / inside.shape[1], per_k=True)


def coverage(real: Floats, fake: Floats, groups: int = GROUPS) -> Interval:
    """Share of real balls with a synthetic image in them, in [0,1]."""
    return _measured(real, fake, groups, lambda inside: float(inside.any(dim=1).double().mean()), high=1.0)


def precision(real: Floats, fake: Floats, groups: int = GROUPS) -> Interval:
    """Share of synthetic images in a real ball, in [0,1]."""
    return _measured(real, fake, groups, lambda inside: float(inside.any(dim=0).double().mean()), high=1.0)


def recall(real: Floats, fake: Floats, groups: int = GROUPS) -> Interval:
    """Share of real images in a ball of a synthetic one, in [0,1]."""
    return precision(fake, real, groups)


def _measured(
    centres: Floats,
    points: Floats,
    groups: int,
    measure: Callable[[torch.Tensor], float],
    *,
    per_k: bool = False,
    high: float = math.inf,
) -> Interval:
    """`measure` of the table [N,M] of which points lie in which centres' balls, with its interval inside [0, high].

    `groups=0` leaves the interval out. Raises ValueError below two images per side.
    """
    require_sides(centres, points)
    x, y = (torch.from_numpy(np.ascontiguousarray(side)) for side in (centres, points))
    balls, between = _Balls(x), _squared(x, y)

    def value(without: tuple[Indices, Indices] | None) -> float:
        keep_x, keep_y = _kept(len(x), without and without[0]), _kept(len(y), without and without[1])
        k = min(K, int(keep_x.sum()) - 1)
        inside = between < (balls.radii(k, keep_x) * (1 - RIM))[:, None]
        if without is not None:
            inside = inside[keep_x][:, keep_y]
        return measure(inside) / (k if per_k else 1)

    whole = value(None)
    low, top = jackknife(whole, [value(pair) for pair in deal(len(x), len(y), groups)])
    return Interval(whole, float(np.maximum(low, 0.0)), float(np.minimum(top, high)))


class _Balls:
    """The neighbours of each of `x` among the others: squared distances and places of the nearest, in order."""

    def __init__(self, x: torch.Tensor) -> None:
        self.table = _squared(x, x).fill_diagonal_(math.inf)
        self.near, self.where = torch.topk(self.table, min(KEPT, len(x) - 1), dim=1, largest=False)

    def radii(self, k: int, keep: torch.Tensor) -> torch.Tensor:
        """Squared distance [N] of each to the k-th nearest of those to `keep` (bool [N])."""
        rank = keep[self.where].cumsum(dim=1)
        squares = self.near.gather(1, (rank == k).double().argmax(dim=1, keepdim=True))[:, 0]
        short = rank[:, -1] < k  # too many of the nearest are gone
        if bool(short.any()):
            squares[short] = self.table[short][:, keep].kthvalue(k, dim=1).values
        return squares


def _squared(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Squared distances [N,M], by one product; about the mean of x, which keeps digits."""
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
