"""A comparison that a question is about, and the answer to a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

SETTLED, PARTLY, CANNOT_TELL = "settled", "partly settled", "cannot tell"


@dataclass(frozen=True)
class Comparison:
    """One comparison of summary.csv. verdict is empty for a metric without a test. needs: what would be needed for a
    verdict, empty if there is one."""

    dataset: str
    train_fraction: float
    test_set: str
    arm: str
    classifier: str
    baseline: str
    metric: str
    delta: float | None
    ci_low: float | None
    ci_high: float | None
    p_holm: float | None
    verdict: str
    n_seeds: int
    n_planned: int
    reason: str = ""
    needs: str = ""

    @property
    def open(self) -> bool:
        """Whether the comparison has no verdict, or an inconclusive one."""
        return self.verdict in ("", "inconclusive")


@dataclass(frozen=True)
class Answer:
    """The answer to a question. status: `settled` (every comparison has a verdict), `partly settled` or `cannot tell`.
    needs: what would be needed for what is open. values: numbers that are no comparisons, by name."""

    question: int
    text: str
    status: str
    sentences: Sequence[str]
    needs: Sequence[str] = ()
    comparisons: Sequence[Comparison] = ()
    values: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    def as_json(self) -> dict[str, Any]:
        """The answer as JSON values."""
        return asdict(self)


def status_of(comparisons: Sequence[Comparison]) -> str:
    """The status that follows from the verdicts alone."""
    known = sum(not one.open for one in comparisons)
    return SETTLED if known and known == len(comparisons) else PARTLY if known else CANNOT_TELL
