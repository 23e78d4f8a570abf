"""Comparisons over data sets: Wilcoxon's signed-rank test with Holm's correction, and Friedman's test with Nemenyi's
critical difference (Demsar 2006). Data sets are the replicates. Seeds are not data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from derm_bench.stats.families import holm

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

FEW = 5


@dataclass(frozen=True)
class OverDataSets:
    """Average ranks (1 is best) of arms over data sets; p of Friedman's test (None with fewer than three arms);
    Nemenyi's critical difference of average ranks; p values of pairs (i, j), i < j, by Wilcoxon's test and Holm's
    correction; and a sentence on what so many data sets can show."""

    ranks: Sequence[float]
    friedman_p: float | None
    critical_difference: float
    p_holm: Mapping[tuple[int, int], float]
    statement: str


def over_data_sets(scores: ArrayLike, *, alpha: float = 0.05, higher_is_better: bool = True) -> OverDataSets:
    """Compare arms over data sets. scores: float64 [data sets, arms], the means over seeds, at least two of each.
    Raises ValueError for missing values or other shapes."""
    import numpy as np
    from scipy.stats import friedmanchisquare, rankdata

    x = np.asarray(scores, np.float64)
    if x.ndim != 2 or min(x.shape) < 2 or not np.isfinite(x).all():
        raise ValueError(
            f"expected finite scores of at least two data sets and two arms; got the shape {x.shape}"
        )
    n, k = x.shape
    places = np.stack([rankdata(-row if higher_is_better else row) for row in x])
    constant = (x == x[:, :1]).all()
    friedman = None if k < 3 else 1.0 if constant else float(friedmanchisquare(*x.T).pvalue)
    pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
    corrected = holm([wilcoxon_p(x[:, i] - x[:, j]) for i, j in pairs])
    p_holm = {pair: 1.0 if p is None else p for pair, p in zip(pairs, corrected, strict=True)}
    return OverDataSets(
        [float(rank) for rank in places.mean(0)],
        friedman,
        critical_difference(k, n, alpha),
        p_holm,
        statement(n, alpha),
    )


def wilcoxon_p(differences: ArrayLike) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test, exact for up to 25 differences without ties; zeros are
    left out, and all zeros give 1."""
    import numpy as np
    from scipy.stats import wilcoxon

    d = np.asarray(differences, np.float64)
    d = d[d != 0]
    if not len(d):
        return 1.0
    tied = len(np.unique(np.abs(d))) < len(d)
    method = "exact" if len(d) <= 25 and not tied else "auto"
    return float(wilcoxon(d, method=method).pvalue)


def critical_difference(arms: int, data_sets: int, alpha: float = 0.05) -> float:
    """Return Nemenyi's critical difference of average ranks: q / sqrt(2) * sqrt(k (k + 1) / (6 N)), with the quantile q
    of the studentized range of k arms."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, arms, float("inf")))
    return float(q / 2**0.5 * (arms * (arms + 1) / (6 * data_sets)) ** 0.5)


def statement(data_sets: int, alpha: float = 0.05) -> str:
    """Return what Wilcoxon's test can show with so many data sets: its smallest two-sided p is 2 / 2^n."""
    least = 2 / 2**data_sets
    if least >= alpha:
        return (
            f"{data_sets} data sets cannot reach p < {alpha:g} by Wilcoxon's test, whatever the scores: its smallest "
            f"p is {least:.3g}."
        )
    return f"{data_sets} data sets: the smallest p of Wilcoxon's test is {least:.3g}."
