"""Corrections of p values for the number of comparisons in a family."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p values after Holm's step-down correction, in the same order.

    None stands for a planned comparison without a test: it counts as one of the family (with p = 1) and stays None, so
    that a failed arm does not make the others easier. Raises ValueError for a p value outside of [0, 1].
    """
    known = [1.0 if p is None else p for p in p_values]
    if any(not 0 <= p <= 1 for p in known):
        raise ValueError("p values must lie in [0, 1]")
    order = sorted(range(len(known)), key=known.__getitem__)
    corrected, largest = [1.0] * len(known), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(known) - rank) * known[index]))
        corrected[index] = largest
    return [None if p is None else q for p, q in zip(p_values, corrected, strict=True)]


def enough_resamples(comparisons: int, alpha: float) -> int:
    """Return the fewest resamples of a p value by resampling that can be significant after Holm's correction with some
    precision: 20 m / alpha."""
    return -int(-20 * comparisons // alpha)
