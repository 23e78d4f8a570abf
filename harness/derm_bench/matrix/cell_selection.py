"""Selects cells by `--only`: those that match at least one expression such as `strategy=dcgan*,seed=0`."""

from __future__ import annotations

from collections.abc import Sequence

from derm_bench.errors import UserError, did_you_mean
from derm_bench.matrix.labels import matches, split_commas
from derm_bench.matrix.model import Cell

CELL_KEYS = {
    "dataset": "dataset",
    "strategy": "strategy",
    "classifier": "classifier",
    "seed": "seed",
    "split_seed": "split_seed",
    "generator_seed": "generator_seed",
    "classifier_seed": "classifier_seed",
    "train_fraction": "train_fraction",
    "cell": "name",
}
"""Key of an expression -> attribute of a cell."""


def select_cells(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """The cells that match at least one expression, in their order; all cells when there is no expression.

    A comma outside brackets means "and", several expressions mean "or", and `*` is the only wildcard. Raises UserError
    for an unknown key, for a pattern that matches no cell, and for an expression that matches no cell.
    """
    if not only:
        return list(cells)
    chosen: set[str] = set()
    for expression in only:
        terms = _terms(expression)
        found = list(cells)
        for key, pattern in terms:
            _must_occur(cells, key, pattern, expression)
            found = [cell for cell in found if _term(cell, key, pattern)]
        if not found:
            raise UserError(
                f"--only {expression}: no cell matches all parts of it",
                hint="each part matches some cells by itself",
            )
        chosen.update(cell.name for cell in found)
    return [cell for cell in cells if cell.name in chosen]


def _terms(expression: str) -> list[tuple[str, str]]:
    terms = []
    for part in split_commas(expression):
        key, equals, pattern = part.partition("=")
        key = key.strip()
        if not equals:
            raise UserError(
                f"--only {expression}: '{part}' is not KEY=PATTERN", hint="for example strategy=dcgan*"
            )
        if key not in CELL_KEYS:
            raise UserError(f"--only {expression}: unknown key '{key}'", hint=did_you_mean(key, CELL_KEYS))
        terms.append((key, pattern.strip()))
    return terms


def _term(cell: Cell, key: str, pattern: str) -> bool:
    value = getattr(cell, CELL_KEYS[key])
    if value is None:
        return False
    if isinstance(value, float) and _number(pattern) is not None:
        return value == _number(pattern)
    return matches(pattern, str(value))


def _must_occur(cells: Sequence[Cell], key: str, pattern: str, expression: str) -> None:
    values = {str(getattr(cell, CELL_KEYS[key])) for cell in cells} - {"None"}
    if any(_term(cell, key, pattern) for cell in cells):
        return
    hint = did_you_mean(pattern, values if len(values) <= 50 else [])
    if len(values) > 50:
        hint = did_you_mean(pattern, values) if len(pattern) < 200 else ""
        hint = hint if hint.startswith("did you mean") else f"for example {min(values)}"
    raise UserError(f"--only {expression}: no cell has {key} '{pattern}'", hint=hint)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
