"""What a plan is made of: stages with keys, and what each cell and table row takes from them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from derm_bench.coordinates import ClassCoordinates
from derm_bench.machine import Machine
from derm_bench.matrix.model import Cell, Matrix
from derm_bench.plan.params import as_dict
from derm_bench.splits import PlannedSplit


@dataclass(frozen=True, slots=True)
class Stage:
    """A unit of work. Its kind (`plan.kinds`) says what a worker calls.

    `key` hashes the stage's identity: `params` (a record of `plan.params`), `inputs`, `optional`, and what it has in
    common with the stages of its kind that run the same code, `shared`. `local` (paths) and `after` are not part of it.

    A stage is related to others, by their keys, in three ways:
    inputs: name -> a stage whose files it reads. after: stages that have to end well before it may start, whose files
    it does not read: an audit. optional: name -> a stage that it runs after whatever became of it, and is told how that
    ended: statistics over cells, of which some may fail.
    """

    key: str
    kind: str
    title: str
    params: Any
    inputs: Mapping[str, str]
    shared: Mapping[str, Any]
    local: Mapping[str, Any] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    optional: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        """All that the key is the digest of, as JSON."""
        own: dict[str, Any] = {"inputs": self.inputs, "params": as_dict(self.params)}
        return {**self.shared, **own, **({"optional": self.optional} if self.optional else {})}

    def before(self) -> tuple[str, ...]:
        """The stages that have to have ended before this one starts."""
        return (*self.inputs.values(), *self.after, *self.optional.values())


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A cell and the stages it reads: its training, one evaluation a test set, and what was synthesised. `built_on`
    are all stages of generators that its training needs, `trainings` those of classifiers that it is built on."""

    cell: Cell
    generator: str
    train: str
    evaluations: Mapping[str, str]
    fits: tuple[str, ...]
    samples: Mapping[str, str]
    quota: Mapping[str, int]
    built_on: tuple[str, ...] = ()
    trainings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedFidelity(ClassCoordinates):
    """One fidelity stage and where its rows belong. `step` is the update of a snapshot, None the end of the fit."""

    step: int | None
    key: str


@dataclass(frozen=True, slots=True)
class PlannedFit(ClassCoordinates):
    """One generator fit, the strategy it is first planned for, and the stage that checks its health."""

    key: str
    health: str


@dataclass(frozen=True, slots=True)
class PlannedRequired:
    """One fit or training that is there only because others are built on it: `owner` is the first of them."""

    dataset: str
    train_fraction: float
    role: Literal["generator", "classifier"]
    owner: str
    class_name: str
    seed: int | None
    key: str


@dataclass
class Plan:
    """Everything a run will do. `stages` is in an order in which each comes after its inputs; `data` are the files
    of plan-level data by digest, `pictures` the stages that draw the samples of each fit, `sheets` those that draw the
    preprocessing of each data set. `splits`, `decodes` and `terms` (licence and citation) are by data set; those of no
    cell, which an `init` is trained on, among them. `analysis` are the stages of statistics and figures by kind: they
    read what all others made, whatever became of it."""

    matrix: Matrix
    machine: Machine
    stages: dict[str, Stage] = field(default_factory=dict)
    cells: list[PlannedCell] = field(init=False, default_factory=list)
    fidelity: list[PlannedFidelity] = field(init=False, default_factory=list)
    fits: list[PlannedFit] = field(init=False, default_factory=list)
    required: list[PlannedRequired] = field(init=False, default_factory=list)
    pictures: dict[str, list[str]] = field(init=False, default_factory=dict)
    sheets: dict[str, str] = field(init=False, default_factory=dict)
    splits: dict[tuple[str, int], PlannedSplit] = field(init=False, default_factory=dict)
    decodes: dict[str, str] = field(init=False, default_factory=dict)
    terms: dict[str, dict[str, str]] = field(init=False, default_factory=dict)
    data: dict[str, bytes] = field(init=False, default_factory=dict)
    warnings: list[str] = field(init=False, default_factory=list)
    analysis: dict[str, str] = field(init=False, default_factory=dict)
    _upstream: dict[str, tuple[str, ...]] = field(init=False, default_factory=dict, repr=False)

    def cell_splits(self) -> dict[tuple[str, int], PlannedSplit]:
        """The splits of the matrix's own data sets."""
        labels = {entry.label for entry in self.matrix.datasets}
        return {place: split for place, split in self.splits.items() if place[0] in labels}

    def targets(self) -> list[str]:
        """The stages whose outputs a run directory shows."""
        found = [key for planned in self.cells for key in planned.evaluations.values()]
        found += [row.key for row in self.fidelity]
        return [*found, *itertools.chain(*self.pictures.values()), *self.sheets.values()]

    def upstream(self, key: str) -> tuple[str, ...]:
        """The keys of a stage's inputs, theirs first, each once."""
        if key not in self._upstream:
            inputs = self.stages[key].inputs.values()
            below = (each for other in inputs for each in (*self.upstream(other), other))
            self._upstream[key] = tuple(dict.fromkeys(below))
        return self._upstream[key]
