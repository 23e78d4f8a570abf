"""The findings of an audit, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["stop", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("stop", "warning", "note")

MAX_SETS, MAX_IDS = 200, 20
"""The largest number of sets of images in a finding, and of images in one set. `counts` has the whole numbers."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong with a data set under a split.

    code: what it is, in snake case. severity: `stop` for a leak that no score survives, `warning` for what a reader of
    the scores must know, `note` for the rest. sentence: the finding in words, with its numbers. permit: the permit of
    the matrix that turns this stop into a warning, empty if there is none. counts: whole numbers by name. images:
    sets of ids that belong together (the copies of one image, the images of one group), at most `MAX_SETS` of at most
    `MAX_IDS`. parts: the parts of the split that are concerned. values: measured values by name.
    """

    code: str
    severity: Severity
    sentence: str
    permit: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    images: Sequence[Sequence[str]] = ()
    parts: Sequence[str] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON values."""
        return asdict(self)


def bounded(sets: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """The first sets of ids, as a finding holds them."""
    kept: list[tuple[str, ...]] = []
    for one in sets:
        if len(kept) == MAX_SETS:
            break
        kept.append(tuple(one[:MAX_IDS]))
    return tuple(kept)


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, stops first and notes last, in their order otherwise."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def counted(n: int, one: str, many: str = "") -> str:
    """A number with its noun: `1 image`, `2,000 images`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
