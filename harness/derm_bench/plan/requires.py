"""Plans what plugins require of others as ordinary stages, which equal work elsewhere in the matrix shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError
from derm_bench.matrix.model import Cell, ClassifierEntry, Matrix
from derm_bench.matrix.refs import FROM, Kind, Required, Use, required_of
from derm_bench.plan.book import StageBook, Used
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.model import Plan, PlannedRequired, Stage
from derm_bench.plan.provenance import check_required, images_there, no_reserve
from derm_bench.specs import NEEDED, TransformUse
from derm_bench.yamlio import KeyPath

if TYPE_CHECKING:
    from derm_bench.plan.classifiers import ClassifierPlanner
    from derm_bench.plan.generators import GeneratorPlanner

# Inputs of a stage: `requires/<name>` is the stage that made what the plugin requires as `name` (samples have one a
# class, `requires/<name>/<class>`), below it what that in turn requires; `data/<class>` are images to fit on.
DATA = "data/"


@dataclass(frozen=True)
class TrainingSet:
    """What a classifier is trained on and how: real images, those of sample stages, augmentation. By default real
    training images alone. `title` is what titles of stages call it."""

    title: str = "real images"
    augment: tuple[TransformUse, ...] = ()
    balance: str | None = None
    replace_real: bool = False
    holdout: float = 0.0
    val: str = "real"
    samples: Mapping[str, str] = field(default_factory=dict)
    reads: str = "train"


PLAIN = TrainingSet()


@dataclass(frozen=True)
class Setting:
    """Where something is required: the cell whose data and seeds it takes, the place in the matrix to blame, and what
    required classifiers are trained on (None: on real images under the generator's seed)."""

    cell: Cell
    at: KeyPath
    on: TrainingSet | None = None


@dataclass(frozen=True)
class Needs:
    """What a stage adds to params, inputs, plugins and local for what its plugin requires."""

    params: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    plugins: Used = ()
    local: dict[str, Any] = field(default_factory=dict)


class Requirements:
    """Plans requirements; `generators` and `classifiers` plan the stages and ask it for theirs in turn."""

    generators: GeneratorPlanner
    classifiers: ClassifierPlanner

    def __init__(self, matrix: Matrix, book: StageBook, data: DataPlanner) -> None:
        self.matrix, self.book, self.data = matrix, book, data
        self._found: dict[tuple[str, int], tuple[Use, dict[str, Required]]] = {}

    def part(self) -> None:
        """Lets go of the planners, which know this one: else a plan stays until garbage is looked for."""
        del self.generators, self.classifiers

    def of(self, kind: Kind, use: Use, setting: Setting) -> Needs:
        """The stages that make what a plugin requires, as inputs of the stage that runs it."""
        wanted = self._required(kind, use, setting)
        if not wanted:
            return Needs()
        params: dict[str, Any] = {}
        inputs: dict[str, str] = {}
        plugins: dict[tuple[str, str], None] = {}
        local: dict[str, Any] = {}
        for name, required in wanted.items():
            made = self._made(required, self._within(setting, name, use))
            params[name] = {"kind": required.ref.kind, "part": required.ref.part}
            inputs |= {f"{NEEDED}{name}{below}": key for below, key in made.items()}
            if required.ref.kind != "samples":
                stage = self.book.plan.stages[made[""]]
                local[name] = stage.local
                plugins |= dict.fromkeys(needed_plugins(self.book.used[stage.key]))
                inputs |= {f"{NEEDED}{name}/{below}": key for below, key in _nested(stage).items()}
        return Needs({"requires": params}, inputs, tuple(plugins), {"requires": local})

    def _required(self, kind: Kind, use: Use, setting: Setting) -> dict[str, Required]:
        place = (kind, id(use))
        if place not in self._found:
            try:
                found = required_of(kind, use, self.book.plugins, self.matrix)
            except UserError as error:
                raise self.matrix.error(error.message, setting.at, error.hint) from error
            self._found[place] = (use, found)  # which keeps the id from being given anew
        return self._found[place][1]

    @staticmethod
    def _within(setting: Setting, name: str, use: Use) -> Setting:
        """The setting of one requirement; a written `from` has a place of its own."""
        written = isinstance(use, ClassifierEntry) and use.source is not None and name == FROM
        return replace(setting, at=(*setting.at, FROM)) if written else setting

    def _made(self, required: Required, setting: Setting) -> dict[str, str]:
        """The stages of one requirement: `""` for the one of a plugin, `/<class>` for samples."""
        if required.ref.kind == "samples":
            return {f"/{name}": key for name, key in self._samples(required, setting).items()}
        if required.ref.kind == "generator":
            return {"": self._generator(required, setting)}
        return {"": self._classifier(required, setting)}

    def _generator(self, required: Required, setting: Setting) -> str:
        """The one fit of a generator."""
        fits = self._fits(required, setting)
        keys = list(dict.fromkeys(fits.values()))
        if len(keys) != 1:
            found = f"'{required.use.name}' is fitted {len(keys)} times ({', '.join(fits)})"
            hint = "write scope: pooled in the generator, or name one class: classes: [...]"
            raise self.matrix.error(f"{found} where one network is wanted", setting.at, hint)
        return keys[0]

    def _fits(self, required: Required, setting: Setting) -> dict[str, str]:
        """The fits of a generator by the class that each makes, `all` where it tells none apart."""
        cell, use, strategy = setting.cell, required.generator, required.strategy
        assert cell.generator_seed is not None, "a cell that needs a generator has a seed for it"
        known = self.data.split(cell.dataset, cell.split_seed).classes
        if strategy is not None:
            classes = self.generators.classes(cell, strategy)
        else:
            check_required(self.book.plan, self.book.plugins, use, cell, setting.at)
            classes = tuple(use.options.classes or known)
        if unknown := [name for name in classes if name not in known]:
            hint = "classes: " + ", ".join(known)
            raise self.matrix.error(f"the data set has no class '{unknown[0]}'", setting.at, hint)
        samples = self._samples(required.data, setting) if required.data is not None else None
        reads = "samples" if samples is not None else "reserve" if required.ref.data == "reserve" else ""
        if reads == "reserve":
            self._refuse_no_reserve(cell, setting.at, use.name)
        found: dict[str, str] = {}
        for group, names in self.generators.scopes(use, classes):
            if samples is not None and not set(samples) & set(group):
                raise self.matrix.error(f"'{use.name}' has no samples to be fitted on", setting.at)
            key = self.generators.fit(cell, use, group, setting.at, reads, samples)
            found |= dict.fromkeys(names, key)
        return found

    def _samples(self, required: Required, setting: Setting) -> dict[str, str]:
        """Sample stages by class: `n` images each, or as many as the class has real training images."""
        use, counts = required.generator, self._counts(setting.cell)
        split = self.data.split(setting.cell.dataset, setting.cell.split_seed)
        there = images_there(self.book.plugins, use, split)
        found = {}
        for name, fit in self._fits(required, setting).items():
            group = self.book.plan.stages[fit].params["fit_classes"]
            n = required.ref.n or (counts[name] if name in counts else sum(counts[k] for k in group))
            if n > there[name]:
                message = f"{use.name} has {there[name]:.0f} images of '{name}', {n} are required"
                raise self.matrix.error(message, setting.at)
            found[name] = self.generators.sample(setting.cell, use, fit, name, n, None)
        return found

    def _classifier(self, required: Required, setting: Setting) -> str:
        """A classifier, trained as the one that requires it; for a generator on real images, under its seed."""
        cell, on = setting.cell, setting.on
        if on is None:
            assert cell.generator_seed is not None
            cell, on = replace(cell, classifier_seed=cell.generator_seed), PLAIN
        if required.data is not None:
            samples = self._samples(required.data, setting)
            on = TrainingSet("required samples", replace_real=True, samples=samples)
        elif required.ref.data == "reserve":
            self._refuse_no_reserve(cell, setting.at, required.use.name)
            on = TrainingSet("the reserve", reads="reserve")
        return self.classifiers.train(required.classifier, Setting(cell, setting.at, on))

    def _counts(self, cell: Cell) -> Mapping[str, int]:
        split = self.data.split(cell.dataset, cell.split_seed)
        counts = self.data.counts(cell)
        return {name: counts[name] for name in split.classes}

    def _refuse_no_reserve(self, cell: Cell, at: KeyPath, name: str) -> None:
        if not self.data.split(cell.dataset, cell.split_seed).counts("reserve"):
            raise no_reserve(self.matrix, name, cell.dataset, at)


def needed_plugins(used: Iterable[tuple[str, str]]) -> Used:
    """Those of a stage's plugins that are made anew where its output is taken up."""
    return tuple((kind, name) for kind, name in used if kind in ("generator", "classifier"))


def _nested(stage: Stage) -> dict[str, str]:
    return {name: key for name, key in stage.inputs.items() if name.startswith(NEEDED)}


def built_on(plan: Plan, train: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(stages of generators, with all that those require; trainings) that a training needs beside its own work."""
    generators: dict[str, None] = {}
    trainings: dict[str, None] = {}

    def visit(key: str) -> None:
        for other in plan.stages[key].inputs.values():
            if plan.stages[other].kind in ("fit", "sample"):
                below = (*plan.upstream(other), other)
                generators.update(dict.fromkeys(k for k in below if plan.stages[k].kind != "decode"))
            elif plan.stages[other].kind == "train":
                trainings[other] = None
                visit(other)

    visit(train)
    return tuple(generators), tuple(trainings)


def list_required(plan: Plan) -> list[PlannedRequired]:
    """The fits and trainings that no strategy and no cell has for its own, each under what first needs it."""
    own = {fit.key for fit in plan.fits} | {planned.train for planned in plan.cells}
    found: dict[str, PlannedRequired] = {}
    for fit in plan.fits:
        if any(name.startswith(NEEDED) for name in plan.stages[fit.key].inputs):
            for key in plan.upstream(fit.key):
                place = (fit.dataset, fit.train_fraction, fit.strategy, fit.generator_seed)
                _list(plan, key, found, own, *place)
    for planned in plan.cells:
        cell = planned.cell
        for key in (*planned.built_on, *planned.trainings):
            seed = cell.generator_seed if key in planned.built_on else cell.classifier_seed
            _list(plan, key, found, own, cell.dataset, cell.train_fraction, cell.classifier, seed)
    return list(found.values())


def _list(
    plan: Plan,
    key: str,
    found: dict[str, PlannedRequired],
    own: set[str],
    dataset: str,
    fraction: float,
    owner: str,
    seed: int | None,
) -> None:
    stage = plan.stages[key]
    if key in own or key in found:
        return
    if stage.kind == "fit" and "generator" in stage.params:
        label = f"{owner}/{stage.params['generator']}"
        classes = "+".join(stage.params["fit_classes"])
        found[key] = PlannedRequired(dataset, fraction, "generator", label, classes, seed, key)
    elif stage.kind == "train":
        label = f"{owner}/{stage.params['classifier']}"
        found[key] = PlannedRequired(dataset, fraction, "classifier", label, "", seed, key)


__all__ = [
    "DATA",
    "PLAIN",
    "Needs",
    "Requirements",
    "Setting",
    "TrainingSet",
    "built_on",
    "list_required",
    "needed_plugins",
]
