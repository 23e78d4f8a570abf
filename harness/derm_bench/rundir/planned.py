"""The stages that each row, curve and picture of a run directory comes from, as the manifest keeps them."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import StringConstraints, TypeAdapter, ValidationError

from derm_bench.coordinates import ClassCoordinates, Coordinates, CurveCoordinates
from derm_bench.errors import UserError
from derm_bench.rundir.frames import LONGEST, LONGEST_NAME
from derm_bench.stage_names import NEEDED

if TYPE_CHECKING:
    from derm_bench.plan.model import Plan, PlannedCell

Key = Annotated[str, StringConstraints(pattern="^[0-9a-f]{40}$")]
Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, StringConstraints(max_length=LONGEST_NAME)]


@dataclass(frozen=True, slots=True)
class CellStages:
    """A cell and its stages: the training, one evaluation per test set, the stages of its generators, and the trainings
    that its training depends on."""

    at: Coordinates
    name: Annotated[str, StringConstraints(max_length=LONGEST["cell"])]
    classifier: Name
    seed: int
    classifier_seed: int
    train: Key
    evaluations: Mapping[Name, Key]
    generated_by: tuple[Key, ...]
    trainings: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class ScoreStage:
    """A fidelity stage and the coordinates of its rows. `step` is the update of a snapshot, or None for the end of the
    fit. `metrics` are the names of the metrics that it computes, which have rows without a value if it is not done."""

    at: ClassCoordinates
    step: int | None
    key: Key
    metrics: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class FitStage:
    """The fit of a generator, its health stage, and the stages that draw its samples."""

    at: ClassCoordinates
    key: Key
    health: Key
    pictures: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class CurveStage:
    """A stage with a training curve."""

    at: CurveCoordinates
    key: Key


@dataclass(frozen=True, slots=True)
class SplitUse:
    """A split: its data set, seed, digest and classes. `own` is False for a data set that no cell is trained on: that
    of an `init`, or an external test set, whose images are all in `test`. For the latter `test_set` is its name, and
    `tests` the data set of the cells that are scored on it. `audit` is the stage that audits it."""

    dataset: Name
    seed: int
    digest: Digest
    classes: tuple[Name, ...]
    own: bool
    test_set: Name = ""
    tests: Name = ""
    audit: Key | None = None


@dataclass(frozen=True, slots=True)
class OutsideAudit:
    """The stage that audits images from elsewhere beside a split. `dataset` names both data sets."""

    dataset: Name
    seed: int
    key: Key


@dataclass(frozen=True, slots=True)
class DataNote:
    """A note of a data set: its text, how many names it has, and the first `MOST_NAMES` of them."""

    dataset: Name
    text: str
    count: int
    names: tuple[str, ...]


MOST_NAMES = 1_000


@dataclass(frozen=True)
class RunStages:
    """All stages that the tables of a run directory come from, and the resolved `matrix` as JSON values.

    sheets, decodes: by data set, the stage that draws its preprocessing and the stage that decodes it. terms: licence
    and citation of each data set. notes: what each data set set aside. origins: (label, training) of each training
    whose initial weights the manifest lists. warnings: the warnings of the plan.
    """

    matrix: Mapping[str, Any]
    cells: list[CellStages] = field(default_factory=list)
    scores: list[ScoreStage] = field(default_factory=list)
    fits: list[FitStage] = field(default_factory=list)
    curves: list[CurveStage] = field(default_factory=list)
    splits: list[SplitUse] = field(default_factory=list)
    outside: list[OutsideAudit] = field(default_factory=list)
    sheets: Mapping[Name, Key] = field(default_factory=dict)
    decodes: Mapping[Name, Key] = field(default_factory=dict)
    terms: Mapping[Name, Mapping[str, str]] = field(default_factory=dict)
    notes: list[DataNote] = field(default_factory=list)
    origins: list[tuple[str, Key]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, plan: Plan) -> RunStages:
        """Return the stages of a plan that its run directory shows."""
        own = {entry.label for entry in plan.matrix.datasets}
        tests = {label: (test_set, dataset) for (dataset, test_set), label in plan.tests.items()}
        audits = {(audit.dataset, audit.split_seed): audit.key for audit in plan.audits}
        matrix = json.loads(plan.matrix.model_dump_json(by_alias=True, exclude={"file"}))
        return cls(
            matrix=matrix | {"file": plan.matrix.file.name},
            cells=[_cell(planned) for planned in plan.cells],
            scores=[
                ScoreStage(_at_class(row), row.step, row.key, _metrics(plan, row.key))
                for row in plan.fidelity
            ],
            fits=[
                FitStage(_at_class(fit), fit.key, fit.health, tuple(plan.pictures.get(fit.key, ())))
                for fit in plan.fits
            ],
            curves=list(_curves(plan)),
            splits=[
                SplitUse(
                    label,
                    seed,
                    split.digest,
                    split.classes,
                    label in own,
                    *tests.get(label, ("", "")),
                    audits.get((label, seed)),
                )
                for (label, seed), split in plan.splits.items()
            ],
            outside=[
                OutsideAudit(audit.dataset, audit.split_seed, audit.key) for audit in plan.outside_audits
            ],
            sheets=dict(plan.sheets),
            decodes=dict(plan.decodes),
            terms=dict(plan.terms),
            notes=[
                DataNote(label, note.text, len(note.names), tuple(note.names[:MOST_NAMES]))
                for label, notes in plan.notes.items()
                for note in notes
            ],
            origins=list(dict.fromkeys(_origins(plan))),
            warnings=list(plan.warnings),
        )

    def dump(self) -> dict[str, Any]:
        """Return the stages as JSON values, without the matrix. `load` is the inverse."""
        return {field.name: _plain(getattr(self, field.name)) for field in dataclasses.fields(self)[1:]}

    @classmethod
    def load(cls, document: Any, matrix: Mapping[str, Any]) -> RunStages:
        """Read the output of `dump`. Raises UserError if a key is not 40 hexadecimal digits, if a name has more than
        255 characters, or if a field is missing or of the wrong type."""
        if not isinstance(document, dict):
            raise UserError("`plan` is not a map")
        try:
            loaded = _adapter().validate_python(document | {"matrix": matrix})
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part)[:40] for part in ("plan", *first["loc"]))
            raise UserError(f"{place}: {first['msg']}") from error
        for name in loaded.names():
            if len(name) > LONGEST_NAME:
                raise UserError(f"`plan` has a name of {len(name):,} characters, more than {LONGEST_NAME}")
        return loaded

    def names(self) -> Iterator[str]:
        """Yield every label that is used in tables, headings and file names."""
        for at in (*(c.at for c in self.cells), *(s.at for s in self.scores), *(f.at for f in self.fits)):
            yield from (at.dataset, at.strategy, at.generator)
            if isinstance(at, ClassCoordinates):
                yield at.class_name
        for curve in self.curves:
            yield from (curve.at.dataset, curve.at.class_name, curve.at.stage, curve.at.role)

    def in_results(self) -> set[str]:
        """Return the keys of the trainings and evaluations whose own failure is a row of results.csv."""
        return {key for cell in self.cells for key in (cell.train, *cell.evaluations.values())}

    def done(self, statuses: Mapping[str, Any]) -> set[str]:
        """Return the keys of the stages that tables are read from, without those that `statuses` lists."""
        keys = {key for cell in self.cells for key in (cell.train, *cell.evaluations.values())}
        keys |= {stage.key for stages in (self.scores, self.fits, self.curves) for stage in stages}
        keys |= {key for fit in self.fits for key in fit.pictures} | set(self.sheets.values())
        keys |= {split.audit for split in self.splits if split.audit is not None}
        keys |= {audit.key for audit in self.outside}
        return keys - set(statuses)


@functools.cache
def _field_names(record: Hashable) -> tuple[str, ...] | None:
    """Return the field names of a dataclass instance, or None for another value. Fast, as a plan has thousands of
    them."""
    return tuple(f.name for f in dataclasses.fields(record)) if dataclasses.is_dataclass(record) else None


def _plain(value: Any) -> Any:
    """Convert dataclass instances to maps, at any depth."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    names = _field_names(cast(Hashable, type(value)))
    return value if names is None else {name: _plain(getattr(value, name)) for name in names}


@functools.cache
def _adapter() -> TypeAdapter[RunStages]:
    return TypeAdapter(RunStages)


def _cell(planned: PlannedCell) -> CellStages:
    cell = planned.cell
    at = Coordinates(
        cell.dataset,
        cell.train_fraction,
        cell.strategy,
        planned.generator,
        cell.split_seed,
        cell.generator_seed,
    )
    stages = tuple(dict.fromkeys((*planned.fits, *planned.samples.values(), *planned.built_on)))
    return CellStages(
        at,
        cell.name,
        cell.classifier,
        cell.seed,
        cell.classifier_seed,
        planned.train,
        dict(planned.evaluations),
        stages,
        tuple(planned.trainings),
    )


def _metrics(plan: Plan, key: str) -> tuple[str, ...]:
    return tuple(use.get("label", use["name"]) for use in plan.stages[key].params.metrics)


def _at_class(row: ClassCoordinates) -> ClassCoordinates:
    return ClassCoordinates(
        row.dataset,
        row.train_fraction,
        row.strategy,
        row.generator,
        row.split_seed,
        row.generator_seed,
        row.class_name,
    )


def _curves(plan: Plan) -> Iterator[CurveStage]:
    for fit in plan.fits:
        yield curve_of_fit(fit, fit.key)
    for r in plan.required:
        yield curve_of_required(r.dataset, r.train_fraction, r.role, r.owner, r.class_name, r.seed, r.key)
    for planned in plan.cells:
        cell = planned.cell
        yield curve_of_cell(_cell(planned).at, cell.classifier, cell.classifier_seed, planned.train)


def curve_of_fit(at: ClassCoordinates, key: str) -> CurveStage:
    """Return the training curve of a generator of a strategy."""
    place = (at.dataset, at.train_fraction, key[:12], "generator", at.strategy)
    return CurveStage(CurveCoordinates(*place, at.class_name, at.generator_seed), key)


def curve_of_required(
    dataset: str, fraction: float, role: str, owner: str, class_name: str, seed: int | None, key: str
) -> CurveStage:
    """Return the training curve of a model that another training depends on."""
    return CurveStage(CurveCoordinates(dataset, fraction, key[:12], role, owner, class_name, seed), key)


def curve_of_cell(at: Coordinates, classifier: str, seed: int, key: str) -> CurveStage:
    """Return the training curve of the classifier of a cell."""
    name = f"{at.strategy}/{classifier}"
    place = (at.dataset, at.train_fraction, key[:12], "classifier", name, "", seed)
    return CurveStage(CurveCoordinates(*place), key)


def _origins(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield (label, training) of each classifier and of the trainings that it depends on, such as `label/member 1` or
    `label/init`."""
    for planned in plan.cells:
        yield from _origins_of(plan, planned.cell.classifier, planned.train)


def _origins_of(plan: Plan, label: str, key: str) -> Iterator[tuple[str, str]]:
    yield label, key
    for given, other in plan.stages[key].inputs.items():
        name = given.removeprefix(NEEDED)
        if (
            given == "init" or name != given
        ) and NEEDED not in name:  # otherwise `given` is a requirement of `name`
            yield from _origins_of(plan, f"{label}/{name}", other)


def stages_of(document: Mapping[str, Any]) -> RunStages:
    """Return the stages that tables and figures use, from the output of `rows_of` and the matrix. Pictures, and the
    generator stages of a cell, are not included."""
    cells, curves = [], []
    for row in document["fits"]:
        curves.append(curve_of_fit(ClassCoordinates(*row[:7]), row[7]))
    for row in document["required"]:
        curves.append(curve_of_required(*row))
    for row in document["cells"]:
        at, (name, classifier, seed, classifier_seed, train, evaluations) = Coordinates(*row[:6]), row[6:]
        cells.append(CellStages(at, name, classifier, seed, classifier_seed, train, evaluations, (), ()))
        curves.append(curve_of_cell(at, classifier, classifier_seed, train))
    return RunStages(
        document["matrix"],
        cells=cells,
        scores=[ScoreStage(ClassCoordinates(*row[:7]), row[7], row[8]) for row in document["scores"]],
        curves=curves,
        splits=[SplitUse(a, b, c, tuple(d), e) for a, b, c, d, e in document["splits"]],
    )
