"""What is wrong with a board or an entry, as verification reports it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

CLOSE = 1e-9
"""Two numbers are equal up to this relative difference: another version of numpy may sum in another order."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `stated` is what the entry says, `found` what follows from its predictions and the
    split of the board; both are None where the problem is not a number."""

    entry: str
    message: str
    file: str = ""
    cell: str = ""
    metric: str = ""
    stated: float | None = None
    found: float | None = None

    def __str__(self) -> str:
        place = "/".join(part for part in (self.entry, self.file) if part)
        return ": ".join(part for part in (place, self.cell, self.message) if part)


@dataclass
class Verified:
    """What was compared. `self_reported` counts values that predictions do not give, by name."""

    entries: int = 0
    rows: int = 0
    scores: int = 0
    problems: list[Problem] = field(default_factory=list)
    self_reported: dict[str, int] = field(default_factory=dict)


def equal(a: float | None, b: float | None) -> bool:
    """Whether two values are equal up to `CLOSE`; missing and NaN are the same."""
    left, right = finite(a), finite(b)
    if left is None or right is None:
        return left is right
    return math.isclose(left, right, rel_tol=CLOSE, abs_tol=CLOSE)


def finite(value: Any) -> float | None:
    """A number, or None if it is missing, NaN or infinite."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def shown(value: float | None) -> str:
    """A number in a message."""
    return "missing" if finite(value) is None else f"{value:.12g}"
