"""Tests of two trained models on one test set. They say nothing about other seeds, and images must be independent: one
image per patient or lesion. DeLong's test is not valid for nested models."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

EXACT_BELOW = 25
"""Discordant images below which McNemar's test is exact."""


class McNemar(NamedTuple):
    """only_first, only_second: images that exactly one model gets right."""

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """Return McNemar's test of two models, from whether each gets each image right (bool [N]). With fewer than 25
    discordant images it is the exact binomial test, otherwise chi-squared with the correction for continuity."""
    import numpy as np
    from scipy.stats import binom, chi2

    a, b = np.asarray(first, bool), np.asarray(second, bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    n = only_a + only_b
    if n < EXACT_BELOW:
        p = min(1.0, 2 * float(binom.cdf(min(only_a, only_b), n, 0.5))) if n else 1.0
    else:
        p = float(chi2.sf((abs(only_a - only_b) - 1) ** 2 / n, 1))
    return McNemar(only_a, only_b, p)


class DeLong(NamedTuple):
    """The areas under the two ROC curves, the variance of their difference, and the two-sided p value (NaN if the
    variance is zero and the areas differ, 1 if they are equal)."""

    first: float
    second: float
    variance: float
    p_value: float


def delong(positive: ArrayLike, first: ArrayLike, second: ArrayLike) -> DeLong:
    """Return DeLong's test of two correlated areas under the ROC curve (DeLong et al. 1988).

    positive: bool [N]. first, second: the scores of the two models, float64 [N]; ties count half. Raises ValueError
    without at least two positives and two negatives.
    """
    import numpy as np
    from scipy.special import ndtr

    y = np.asarray(positive, bool)
    if y.sum() < 2 or (~y).sum() < 2:
        raise ValueError("DeLong's test needs at least two positives and two negatives")
    parts = [placements(np.asarray(scores, np.float64), y) for scores in (first, second)]
    areas = [float(high.mean()) for high, _ in parts]
    variance = 0.0
    for side in (0, 1):
        difference = parts[0][side] - parts[1][side]
        variance += float(difference.var(ddof=1)) / len(difference)
    gap = areas[0] - areas[1]
    unknown = 1.0 if gap == 0 else float("nan")
    p = 2 * float(ndtr(-abs(gap) / np.sqrt(variance))) if variance > 0 else unknown
    return DeLong(areas[0], areas[1], variance, p)


def placements(
    scores: NDArray[np.float64], y: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of negatives below each positive, and of positives above each negative; ties count half. Their
    means are the area under the ROC curve. scores: float64 [N]; y: bool [N], whether an image is positive."""
    from scipy.stats import rankdata

    n, m = int(y.sum()), int((~y).sum())
    whole = rankdata(scores)
    above = (whole[y] - rankdata(scores[y])) / m
    below = 1 - (whole[~y] - rankdata(scores[~y])) / n
    return above, below
