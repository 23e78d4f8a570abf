"""Refuses keys that the matrix grammar has and that this version cannot run yet."""

from __future__ import annotations

from collections.abc import Iterator

from derm_bench.matrix.locations import Problem
from derm_bench.matrix.model import Matrix
from derm_bench.yamlio import KeyPath


def refuse_unsupported(matrix: Matrix) -> Iterator[Problem]:
    """Yields one problem for each use of something that this version cannot run."""
    if matrix.analysis.sweeps == "best_on_val":
        yield _refusal(("analysis", "sweeps"), "sweeps: best_on_val", "write all")


def _refusal(path: KeyPath, what: str, hint: str = "") -> Problem:
    return Problem(path, f"{what} is not supported by this version", hint)
