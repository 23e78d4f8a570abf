"""The Frechet distance extrapolated to infinitely many images (FID-infinity, Chong and Forsyth 2020).

The distance of n images exceeds that of the distributions by about c/n. It is computed on all images, and as the mean
over 2 and 4 disjoint parts of them, that is at n, n/2 and n/4 images per side. The value of the least-squares line
through these points at 1/n = 0 is the extrapolation.

The authors vary the synthetic images only, between 5,000 and 50,000 with many real ones. Here both sides have as few
images, and both are divided, since both add to the bias. Where n is small compared with the spread of the features over
their dimensions, the bias falls more slowly than 1/n: the extrapolation then lies between the distance and its limit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from derm_bench.fidelity.distances import (
    Floats,
    Indices,
    Interval,
    deal,
    frechet_distance,
    jackknife,
    require_sides,
)

PARTS = (1, 2, 4)
# Left-out groups of the interval, each of which takes as long as the value.
GROUPS = 10
# The value of the least-squares line through y at x = PARTS, at x = 0, is the sum of WEIGHTS * y.
WEIGHTS = (1.0, 0.5, -0.5)


def extrapolated_distance(real: Floats, fake: Floats, groups: int = GROUPS, device: str = "cpu") -> Interval:
    """Return the extrapolated squared Frechet distance of features [N,D] and [M,D], with a delete-a-group jackknife
    interval.

    The value may be negative if the distributions are close. `groups=0` omits the interval. Raises ValueError for fewer
    than 8 images per side.
    """
    require_sides(real, fake)
    if min(len(real), len(fake)) < 2 * PARTS[-1]:
        raise ValueError(f"four parts need 8 images per side, not {len(real)} and {len(fake)}")
    rng = np.random.default_rng(1)
    places = [rng.permutation(len(side)) for side in (real, fake)]

    def value(without: tuple[Indices, Indices] | None) -> float:
        kept = [_kept(place, gone) for place, gone in zip(places, without or (None, None), strict=True)]
        means = [
            np.mean([_part(real, fake, places, kept, part, parts, device) for part in range(parts)])
            for parts in PARTS
        ]
        return float(np.dot(WEIGHTS, means))

    whole = value(None)
    smallest = min(len(real), len(fake)) // (2 * PARTS[-1])
    dealt = deal(len(real), len(fake), groups) if smallest > 2 else []
    return Interval(whole, *jackknife(whole, [value(pair) for pair in dealt]))


def _kept(place: Indices, gone: Indices | None) -> NDArray[np.bool_]:
    keep = np.ones(len(place), np.bool_)
    if gone is not None:
        keep[gone] = False
    return keep


def _part(
    real: Floats,
    fake: Floats,
    places: list[Indices],
    kept: list[NDArray[np.bool_]],
    part: int,
    parts: int,
    device: str,
) -> float:
    """Return the distance of one part. An image stays in its part whichever others are left out."""
    x, y = (
        side[keep & (place % parts == part)]
        for side, keep, place in zip((real, fake), kept, places, strict=True)
    )
    return frechet_distance(x, y, groups=0, device=device).value
