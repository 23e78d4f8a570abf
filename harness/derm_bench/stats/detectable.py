"""The smallest difference that a comparison is likely to find, from its seeds and the size of its test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from derm_bench.stats.estimate import FEWEST
from derm_bench.stats.seeds import Component, satterthwaite


@dataclass(frozen=True)
class Variation:
    """How paired runs of two arms differ, before anything is observed.

    seed_std: the standard deviation over seeds of the difference on infinitely many images. disagreement: the share of
    images that exactly one of two paired runs gets right. shared: the share of the image variance that all seeds have
    in common.
    """

    seed_std: float = 0.02
    disagreement: float = 0.2
    shared: float = 0.25


ASSUMED = Variation()
"""The assumption of a plan without records. Paired runs of small networks on a few thousand images differ about so."""


class Detectable(NamedTuple):
    """The smallest difference that is found with the stated power, with the standard error and degrees of freedom that
    a comparison is expected to have."""

    difference: float
    standard_error: float
    df: float


def smallest_difference(
    clusters: Mapping[str, int],
    seeds: int,
    *,
    comparisons: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
    variation: Variation = ASSUMED,
    seed_variance: float | None = None,
) -> Detectable | None:
    """Return the smallest difference of two balanced accuracies that is found with probability `power`; None with fewer
    than three seeds, or without test images.

    clusters: the independent clusters of test images of each class. seeds: the paired seeds of each arm. comparisons:
    the size of the family: the level is alpha / comparisons, that of the first step of Holm's correction.
    seed_variance: the variance over seeds of a difference on the test images, where earlier runs tell it; then only
    the part that seeds have in common is taken from `variation`.
    """
    counts = [n for n in clusters.values() if n > 0]
    if seeds < FEWEST or not counts or comparisons < 1:
        return None
    single = sum(variation.disagreement / n for n in counts) / len(counts) ** 2
    shared = variation.shared * single
    own = variation.seed_std**2 + single - shared if seed_variance is None else seed_variance
    images = sum(counts) - len(counts)
    total = satterthwaite([Component(own / seeds, seeds - 1), Component(shared, max(1, images))])
    error = total.variance**0.5
    return Detectable(shift_found(alpha / comparisons, power, total.df) * error, error, total.df)


def over_repeated_splits(
    variance: float,
    splits: int,
    ratio: float,
    *,
    comparisons: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Detectable | None:
    """Return the same for repeated splits whose differences have this variance; None with fewer than three splits."""
    if splits < FEWEST:
        return None
    error = ((1 / splits + ratio) * variance) ** 0.5
    return Detectable(shift_found(alpha / comparisons, power, splits - 1) * error, error, splits - 1)


def shift_found(alpha: float, power: float, df: float) -> float:
    """Return the true difference, in standard errors, that a two-sided t test at the level alpha finds with this
    power."""
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    limit = float(t.isf(alpha / 2, df))
    return float(brentq(lambda shift: float(nct.sf(limit, df, shift)) - power, 0.0, 4 * limit + 10))
