"""How many seeds a finished comparison would have needed: for the reader of a verdict that is inconclusive."""

from __future__ import annotations

from derm_bench.stats.detectable import shift_found
from derm_bench.stats.estimate import FEWEST
from derm_bench.stats.seeds import Component, satterthwaite

MOST = 1000
"""The most seeds that are considered."""

IMAGES_DF = 1000.0
"""Degrees of freedom of the part of the test images. There is one per lesion or patient: as good as infinity."""


def detectable_now(
    variance: float, df: float, *, comparisons: int, alpha: float, power: float = 0.8
) -> float:
    """Return the smallest true difference that a comparison with this variance and these degrees of freedom finds with
    probability `power`, at the first step of Holm's correction over `comparisons`."""
    return shift_found(alpha / comparisons, power, df) * variance**0.5


def seeds_needed(
    difference: float,
    seed_variance: float,
    test_variance: float,
    *,
    comparisons: int,
    alpha: float,
    power: float = 0.8,
    least: float = 0.0,
) -> int | None:
    """Return the fewest seeds with which a true difference is found with probability `power`; None if more than 1000
    would be needed, because the test images alone leave too much uncertainty.

    seed_variance: the variance over seeds of a single paired difference. test_variance: the part of the variance of the
    mean difference that all seeds have in common on these test images; more seeds do not make it smaller.
    least: the smallest variance of the mean difference that is assumed, because one or two more images could change it.
    """

    def enough(seeds: int) -> bool:
        parts = [Component(seed_variance / seeds, seeds - 1), Component(test_variance, IMAGES_DF)]
        total = satterthwaite(parts)
        variance = max(total.variance, least)
        found = detectable_now(variance, total.df, comparisons=comparisons, alpha=alpha, power=power)
        return found <= difference

    if not enough(MOST):
        return None
    low, high = FEWEST - 1, MOST  # not enough (or not considered), enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
