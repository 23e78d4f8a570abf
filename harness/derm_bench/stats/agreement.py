"""How far two measures agree on the order of the same items, such as generators under two feature extractors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple


class Agreement(NamedTuple):
    """`tau` is Kendall's tau-b over the `n` items that both measures have values of, in [-1,1]. It is NaN if one of
    them gives all items the same value. `reversed` are the pairs (item, item) of which the first is better by the one
    measure and the second by the other, each beyond the intervals."""

    n: int
    tau: float
    reversed: tuple[tuple[str, str], ...]


Interval = tuple[float, float, float]
"""A value with the bounds of its interval; bounds are NaN if there is none."""


def agreement(one: Mapping[str, Interval], other: Mapping[str, Interval]) -> Agreement:
    """Return the agreement of two measures, for both of which higher values are better.

    A value is better than another beyond the intervals if its lower bound lies above the upper bound of the other.
    """
    items = [item for item in one if item in other]
    tau = math.nan
    if len(items) > 1:
        from scipy.stats import kendalltau

        tau = float(kendalltau([one[i][0] for i in items], [other[i][0] for i in items]).statistic)
    pairs = [(a, b) for a in items for b in items if _above(one[a], one[b]) and _above(other[b], other[a])]
    return Agreement(len(items), tau, tuple(pairs))


def _above(value: Interval, other: Interval) -> bool:
    return value[1] > other[2]
