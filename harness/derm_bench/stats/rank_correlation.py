"""Spearman's rank correlation with an interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

FEWEST_PAIRS = 5
"""The fewest pairs of values that have an interval: with four, even a perfect order has p > 0.05."""


class RankCorrelation(NamedTuple):
    """Spearman's rho of n pairs, and its interval; NaN where rho or the interval does not exist."""

    rho: float
    low: float
    high: float
    n: int


def rank_correlation(first: ArrayLike, second: ArrayLike, alpha: float = 0.05) -> RankCorrelation:
    """Return Spearman's rank correlation of two lists (float64 [N]) with its interval of coverage 1 - alpha.

    The interval is that of Bonett and Wright (2000): normal on the scale of Fisher's z with the variance
    (1 + rho^2 / 2) / (N - 3). It is missing with fewer than five pairs; rho is, with fewer than two pairs or if all
    values of a list are equal. Raises ValueError for lists of different lengths.
    """
    import numpy as np
    from scipy.special import ndtri
    from scipy.stats import rankdata

    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"expected two lists of equal length, got shapes {x.shape} and {y.shape}")
    n = len(x)
    if n < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return RankCorrelation(math.nan, math.nan, math.nan, n)
    rho = float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])
    if n < FEWEST_PAIRS:
        return RankCorrelation(rho, math.nan, math.nan, n)
    # A perfect order of few pairs is no certainty: z is infinite there. rho is taken one exchange of neighbours away.
    inner = min(abs(rho), 1 - 6 / (n * (n * n - 1)))
    z, half = math.atanh(inner), float(ndtri(1 - alpha / 2)) * math.sqrt((1 + inner**2 / 2) / (n - 3))
    ends = sorted(math.copysign(1, rho) * math.tanh(end) for end in (z - half, z + half))
    return RankCorrelation(rho, min(rho, ends[0]), max(rho, ends[1]), n)
