"""The verdict on a difference: helps, hurts, equivalent or inconclusive, and the reason in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from derm_bench.stats.estimate import Estimate

HELPS, HURTS, EQUIVALENT, INCONCLUSIVE = "helps", "hurts", "equivalent", "inconclusive"


class Verdict(NamedTuple):
    """One of the four words, and a sentence that says why."""

    word: str
    reason: str


def decide(
    found: Estimate, p_holm: float, *, alpha: float, margin: float, higher_is_better: bool = True
) -> Verdict:
    """Return the verdict on an estimated difference, arm minus baseline.

    `helps` or `hurts` if p_holm < alpha, by the sign of the difference; otherwise `equivalent` if the interval with
    coverage 1 - 2 alpha lies within +-margin, which is two one-sided tests at the level alpha (TOST); otherwise
    `inconclusive`.
    """
    if p_holm < alpha:
        word = HELPS if (found.mean > 0) == higher_is_better else HURTS
        return Verdict(word, f"p = {shown(p_holm)} after Holm's correction")
    low, high = found.interval(2 * alpha)
    level = f"{100 * (1 - 2 * alpha):g}%"
    if -margin < low and high < margin:
        return Verdict(EQUIVALENT, f"the {level} interval [{low:+.3f}, {high:+.3f}] lies within ±{margin:g}")
    return Verdict(
        INCONCLUSIVE,
        f"p = {shown(p_holm)} after Holm's correction, and the {level} interval [{low:+.3f}, {high:+.3f}] "
        f"leaves ±{margin:g}",
    )


def shown(p: float) -> str:
    """Return a p value as text, `0.013` or `<0.001`."""
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
