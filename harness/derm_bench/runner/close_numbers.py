"""Compares the numbers that a run directory states with those that were computed again."""

from __future__ import annotations

import math
from typing import Any

CLOSE = 1e-9
"""Two numbers are equal up to this relative difference: another version of numpy may sum in another order."""


def finite(value: Any) -> float | None:
    """A number, or None if it is missing, NaN or infinite."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def same(a: Any, b: Any) -> bool:
    """Whether two values of a table are equal: texts exactly, numbers up to `CLOSE`."""
    return a == b if isinstance(a, str) or isinstance(b, str) else equal(a, b)


def equal(a: float | None, b: float | None) -> bool:
    """Whether two numbers are equal up to `CLOSE`; missing and NaN are the same."""
    left, right = _number(a), _number(b)
    if left is None or right is None:
        return left is right
    return math.isclose(left, right, rel_tol=CLOSE, abs_tol=CLOSE)


def shown(value: Any) -> str:
    """A value in a message."""
    if isinstance(value, str):
        return f"'{value[:100]}'" if value else "empty"
    return "missing" if _number(value) is None else f"{value:.12g}"


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)
