"""Refuses what only the planned split shows to be impossible: no classes to tell apart, empty training or validation
sets, states that no generator keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from derm_bench.errors import UserError
from derm_bench.matrix.model import Cell, Matrix, StrategyEntry
from derm_bench.plan.amounts import ALL
from derm_bench.scoring.names import METRICS, PER_CLASS
from derm_bench.splits import PlannedSplit

MAX_SNAPSHOTS = 1000


def refuse_taken(classes: Iterable[str]) -> None:
    """Raises UserError for a class whose columns or rows would be those of something else in a table."""
    for name in classes:
        columns = [f"{metric}_{name}" for metric in PER_CLASS if f"{metric}_{name}" in METRICS]
        if columns or name in (ALL, "real-holdout", "noise"):
            other = f"the column {columns[0]}" if columns else f"the rows '{name}' of the harness"
            raise UserError(
                f"a class cannot be named '{name}': tables would confuse it with {other}",
                path=("classes",),
                hint="give it another name: classes: {another-name: [" + name + "], ...}",
            )


def refuse_one_class(matrix: Matrix, place: Sequence[str | int], split: PlannedSplit) -> None:
    """Raises UserError if a data set has a single class, which every classifier gets right."""
    if len(split.classes) < 2:
        found = f"'{split.classes[0]}' alone" if split.classes else "none"
        raise matrix.error(f"a classifier needs at least two classes, and this data set has {found}", place)


def refuse_empty(
    matrix: Matrix,
    place: int,
    strategy: StrategyEntry,
    cell: Cell,
    quota: Mapping[str, int],
    split: PlannedSplit,
) -> None:
    """Raises UserError if a training on synthetic images alone lacks a class, or if what is held out for validation is
    empty or of one class. `quota` is the number of synthetic images per class."""
    synthetic, at = strategy.synthetic, ("strategies", place, "synthetic")
    if synthetic is None:
        return
    where = f"in {cell.dataset}" + (f" at {cell.train_fraction}" if cell.train_fraction != 1 else "")
    absent = [name for name in split.classes if not quota.get(name)]
    if synthetic.replace_real and absent and "missing_class" not in matrix.protocol.allow:
        raise matrix.error(
            f"with replace_real nothing is left to train on of the class '{absent[0]}' {where}",
            (*at, "replace_real"),
            "give every class a quota, per_class: 500 for example, and the generator all classes",
        )
    if synthetic.val == "held_out":
        held = {name: int(synthetic.holdout * n) for name, n in quota.items() if int(synthetic.holdout * n)}
        if len(held) < 2:
            found = f"holds out images of '{next(iter(held))}' alone" if held else "holds out no image"
            raise matrix.error(
                f"validation on held-out images: holdout: {synthetic.holdout:g} {found} {where}",
                (*at, "val"),
                "give more classes a larger quota, hold out more, or write val: real",
            )


def refuse_no_state(
    matrix: Matrix, place: int, strategy: StrategyEntry, kept: Mapping[str, tuple[int, ...]]
) -> None:
    """Raises UserError if the strategy samples from a state that its generator does not keep. `kept` are the updates
    after which each class's fit keeps its state."""
    step = strategy.synthetic.snapshot if strategy.synthetic is not None else "last"
    at = ("strategies", place, "synthetic", "snapshot")
    if step == "best_fd":
        for name, updates in kept.items():
            if not updates:
                hint = "lower `snapshots.every`, or write snapshot: last"
                message = f"the budget of the generator of '{name}' ends before the first snapshot"
                raise matrix.error(f"{message}, so there is nothing to choose from", at, hint)
    if not isinstance(step, int):
        return
    for name, updates in kept.items():
        if step in updates:
            continue
        if matrix.snapshots.every is None:
            hint = f"write `snapshots: {{every: {step}}}` at the top of the matrix"
        elif updates:
            hint = f"it keeps those after {_some(updates)}; `last` is the end"
        else:
            hint = "its budget ends before the first snapshot; write last"
        raise matrix.error(f"the generator of '{name}' keeps no state after update {step}", at, hint)


def snapshots_of(matrix: Matrix, updates: int) -> tuple[int, ...]:
    """The updates after which a fit of so many updates keeps its state. Raises UserError for more than 1000."""
    every = matrix.snapshots.every
    if every is None:
        return ()
    number = (updates - 1) // every
    if number > MAX_SNAPSHOTS:
        raise matrix.error(
            f"{number:,} snapshots of a generator with {updates:,} updates, each of which is stored and scored",
            ("snapshots", "every"),
            f"write {-(-updates // MAX_SNAPSHOTS)} or more, for at most {MAX_SNAPSHOTS} of them",
        )
    return tuple(range(every, updates, every))


def _some(updates: Sequence[Any]) -> str:
    shown = ", ".join(map(str, updates[:5]))
    return f"{shown}, ..., {updates[-1]}" if len(updates) > 5 else shown
