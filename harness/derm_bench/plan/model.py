"""The records of a plan: stages with keys, and the stages that each cell and table row reads."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from derm_bench.coordinates import ClassCoordinates
from derm_bench.machine import Machine
from derm_bench.matrix.model import Cell, Matrix
from derm_bench.plan.params import as_dict
from derm_bench.protocols import Note
from derm_bench.splits import PlannedSplit


@dataclass(slots=True)  # not frozen, as the records of plan.params
class Stage:
    """A unit of work. Its kind (`plan.kinds`) names the function that a worker calls.

    `key` hashes the identity of the stage: `params` (a record of `plan.params`), `inputs`, `optional`, and `shared`,
    the part that is common to all stages of its kind that run the same code. `local` (paths) and `after` are not part
    of the identity.

    A stage refers to other stages by their keys, in three ways:
    inputs: name -> a stage whose files it reads. after: stages that must succeed before it may start, whose files it
    does not read, such as a health check. optional: name -> a stage that must have ended, successfully or not, before
    it starts. The stage receives the outcome: statistics are computed even if some cells have failed.
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
        """All values that the key is computed from, as JSON."""
        own: dict[str, Any] = {"inputs": self.inputs, "params": as_dict(self.params)}
        return {**self.shared, **own, **({"optional": self.optional} if self.optional else {})}

    def before(self) -> tuple[str, ...]:
        """The stages that must have ended before this one starts."""
        return (*self.inputs.values(), *self.after, *self.optional.values())


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A cell and its stages: the training, one evaluation per test set, and the fits and samples of its generator.
    `built_on` are all generator stages that the training depends on, `trainings` the other trainings that it depends
    on."""

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
    """One fidelity stage and the coordinates of its rows. `step` is the update of a snapshot, or None for the end of
    the fit."""

    step: int | None
    key: str


@dataclass(frozen=True, slots=True)
class PlannedFit(ClassCoordinates):
    """One fit of a generator, with the strategy it was first planned for and the stage that checks its health."""

    key: str
    health: str


@dataclass(frozen=True, slots=True)
class PlannedRequired:
    """One fit or training that exists only because other stages require it. `owner` is the first that requires it."""

    dataset: str
    train_fraction: float
    role: Literal["generator", "classifier"]
    owner: str
    class_name: str
    seed: int | None
    key: str


@dataclass(frozen=True, slots=True)
class PlannedAudit:
    """The audit of a data set under one split, and the stage that fails if it found a leak without a permit."""

    dataset: str
    split_seed: int
    key: str
    gate: str


@dataclass(frozen=True)
class PlannedOutsideAudit:
    """The audit of images from elsewhere beside a split. `dataset` names both data sets."""

    dataset: str
    split_seed: int
    key: str


@dataclass
class Plan:
    """All the work of a run.

    stages: ordered such that each comes after its inputs. data: files of plan-level data, by digest. pictures: the
    stages that draw the samples of each fit. sheets: the stages that draw the preprocessing of each data set. splits,
    decodes, terms (licence and citation), notes (what was set aside): by data set, including data sets that no cell is
    trained on: those of `init` and of external test sets. tests: the labels of the latter, by the data set of the cells
    and the test set. analysis: the stages of statistics and figures, by kind; they run after all other stages have
    ended. audits: one per split; no stage that reads images under a split starts before the gate of its audit.
    outside_audits: one for each external test set and all extra data beside a split; nothing waits for them.
    """

    matrix: Matrix
    machine: Machine
    stages: dict[str, Stage] = field(default_factory=dict)
    cells: list[PlannedCell] = field(init=False, default_factory=list)
    fidelity: list[PlannedFidelity] = field(init=False, default_factory=list)
    fits: list[PlannedFit] = field(init=False, default_factory=list)
    required: list[PlannedRequired] = field(init=False, default_factory=list)
    audits: list[PlannedAudit] = field(init=False, default_factory=list)
    outside_audits: list[PlannedOutsideAudit] = field(init=False, default_factory=list)
    pictures: dict[str, list[str]] = field(init=False, default_factory=dict)
    sheets: dict[str, str] = field(init=False, default_factory=dict)
    splits: dict[tuple[str, int], PlannedSplit] = field(init=False, default_factory=dict)
    decodes: dict[str, str] = field(init=False, default_factory=dict)
    terms: dict[str, dict[str, str]] = field(init=False, default_factory=dict)
    tests: dict[tuple[str, str], str] = field(init=False, default_factory=dict)
    notes: dict[str, Sequence[Note]] = field(init=False, default_factory=dict)
    data: dict[str, bytes] = field(init=False, default_factory=dict)
    warnings: list[str] = field(init=False, default_factory=list)
    analysis: dict[str, str] = field(init=False, default_factory=dict)
    _upstream: dict[str, tuple[str, ...]] = field(init=False, default_factory=dict, repr=False)

    def cell_splits(self) -> dict[tuple[str, int], PlannedSplit]:
        """The splits of the data sets that the matrix lists, without those of `init` and of external test sets."""
        labels = {entry.label for entry in self.matrix.datasets}
        return {place: split for place, split in self.splits.items() if place[0] in labels}

    def targets(self) -> list[str]:
        """The stages whose outputs or results the run directory contains, each once: a stage that is corrupted is made
        again even if what was made of it is there."""
        found = itertools.chain(
            self.decodes.values(),
            *((audit.key, audit.gate) for audit in self.audits),
            (audit.key for audit in self.outside_audits),
            *((fit.key, fit.health) for fit in self.fits),
            (required.key for required in self.required),
            *((planned.train, *planned.evaluations.values()) for planned in self.cells),
            (row.key for row in self.fidelity),
            *self.pictures.values(),
            self.sheets.values(),
        )
        return list(dict.fromkeys(found))

    def upstream(self, key: str) -> tuple[str, ...]:
        """The keys of all direct and indirect inputs of a stage, each once and after its own inputs."""
        if key not in self._upstream:
            inputs = self.stages[key].inputs.values()
            below = (each for other in inputs for each in (*self.upstream(other), other))
            self._upstream[key] = tuple(dict.fromkeys(below))
        return self._upstream[key]
