"""Plans fits and trainings with everything that they require, including nested requirements and `init` trainings.

The requirements of a plugin become ordinary stages, which are shared with equal work elsewhere in the matrix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from derm_bench.errors import UserError
from derm_bench.matrix.model import Cell, ClassifierEntry, GeneratorUse, Init, Matrix, StrategyEntry
from derm_bench.matrix.required_plugins import FROM, Kind, Required, Use, required_of
from derm_bench.options import Budget, ClassifierUse
from derm_bench.plan.auxiliary import AuxiliaryTasks
from derm_bench.plan.book import StageBook
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.extra_data import ExtraData
from derm_bench.plan.fits import Fits
from derm_bench.plan.held_out import contents, held_out
from derm_bench.plan.needs import NONE, Need, Needs, below, needed_plugins
from derm_bench.plan.provenance import check_required, images_there, no_reserve
from derm_bench.plan.trainings import PLAIN, Trainings, TrainingSet
from derm_bench.stage_names import NEEDED
from derm_bench.yamlio import KeyPath


@dataclass(frozen=True)
class Setting:
    """The context of a requirement: the cell whose data and seeds are used, the location in the matrix for error
    messages, and the training set of required classifiers (None: real images, under the generator's seed)."""

    cell: Cell
    at: KeyPath
    on: TrainingSet | None = None


class Networks:
    """Enters the stages that fit and train networks, upstream stages first."""

    def __init__(
        self, matrix: Matrix, book: StageBook, data: DataPlanner, fits: Fits, trainings: Trainings
    ) -> None:
        self.matrix, self.book, self.data = matrix, book, data
        self.fits, self.trainings = fits, trainings
        self.extra, self.auxiliary = ExtraData(matrix, data), AuxiliaryTasks(matrix, data)
        self._required: dict[tuple[str, int], tuple[Use, dict[str, Required]]] = {}
        # (data set, split) of a cell and of its `init`, if training the latter uses no held-out image of the former.
        self._unseen: set[tuple[str, int, str, int]] = set()

    # ---------------------------------------------------------------------------- generators

    def fits_of_strategy(self, cell: Cell, strategy: StrategyEntry, at: KeyPath) -> dict[str, str]:
        """The fits of a strategy's generator by class (`all` if it does not distinguish classes). Classes of one group
        share a fit."""
        assert strategy.generator is not None
        return self._fits(strategy.generator, self.fits.classes(cell, strategy), Setting(cell, at))

    def _fits(
        self,
        use: GeneratorUse,
        classes: tuple[str, ...],
        setting: Setting,
        reads: str = "",
        samples: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        found: dict[str, str] = {}
        scopes = list(self.fits.scopes(use, classes))
        spec = self.book.plugins.get("generator", use.name)
        extra = self.extra.of_fit(setting.cell, use, spec, [group for group, _ in scopes], setting.at)
        for group, names in scopes:
            if samples is not None and not set(samples) & set(group):
                raise self.matrix.error(f"'{use.name}' has no samples to be fitted on", setting.at)
            needs = self._needs("generator", use, Setting(setting.cell, setting.at))
            key = self.fits.fit(setting.cell, use, group, needs, reads, samples, extra)
            found |= dict.fromkeys(names, key)
        return found

    # --------------------------------------------------------------------------- classifiers

    def train(
        self, use: ClassifierEntry | ClassifierUse, setting: Setting, budget: Budget | None = None
    ) -> str:
        """The stage that trains a classifier in a setting."""
        on = setting.on or PLAIN
        needs = self._needs("classifier", use, Setting(setting.cell, setting.at, on))
        init = self._init(use, use.init, setting) if use.init is not None else None
        auxiliary = self.auxiliary.of(use, setting.cell, on.reads, setting.at, required=on.needs_auxiliary)
        return self.trainings.train(use, setting.cell, on, needs, init, budget, auxiliary)

    def _init(self, use: ClassifierEntry | ClassifierUse, init: Init, setting: Setting) -> str:
        """The training on real images of another data set whose network initialises this one."""
        like = self.data.entries[setting.cell.dataset]
        at: KeyPath = (*setting.at, "init", "dataset")
        label = self.data.other(init.dataset, like, at)
        cell = setting.cell
        if label != cell.dataset:  # otherwise the cell's own split is used, with its held-out images
            split = init.dataset.split
            cell = replace(
                cell,
                dataset=label,
                train_fraction=1.0,
                split_seed=0 if split.method == "kfold" else split.seed,
            )
            self._refuse_seen(setting.cell, cell, at)
        first = use.model_copy(update={"init": None})
        where = Setting(cell, (*setting.at, "init"), TrainingSet(f"{label} for init", needs_auxiliary=False))
        return self.train(first, where, init.budget)

    def _refuse_seen(self, cell: Cell, first: Cell, at: KeyPath) -> None:
        """Raises UserError if the training `first` uses validation or test images of the cell."""
        place = (cell.dataset, cell.split_seed, first.dataset, first.split_seed)
        if place in self._unseen:
            return
        self._unseen.add(place)
        held = held_out(self.data, cell.dataset, cell.split_seed)
        seen = contents(self.data, first.dataset, first.split_seed, ("train", "val"))
        shared = sorted(seen[content] for content in held.keys() & seen.keys())
        if shared:
            message = f"{len(shared)} of its images, {shared[0]} among them, are validation or test images"
            if "duplicates_across_splits" in self.matrix.protocol.allow:
                said = (
                    f"permitted by duplicates_across_splits: {first.dataset}: {message} of '{cell.dataset}'"
                )
                self.book.plan.warnings += [said] if said not in self.book.plan.warnings else []
                return
            hint = "leave them out, or permit it: protocol: {name: paper, allow: [duplicates_across_splits]}"
            raise self.matrix.error(f"{message} of '{cell.dataset}' (split {cell.split_seed})", at, hint)

    # -------------------------------------------------------------------------- requirements

    def _needs(self, kind: Kind, use: Use, setting: Setting) -> Needs:
        """The requirements of a plugin, with the stages that make them."""
        wanted = self._requirements(kind, use, setting)
        if not wanted:
            return NONE
        return Needs(
            tuple(
                self._need(name, required, self._within(setting, name, use))
                for name, required in wanted.items()
            )
        )

    def _need(self, name: str, required: Required, setting: Setting) -> Need:
        ref = required.ref
        if ref.kind == "samples":
            made = {f"{NEEDED}{name}/{label}": key for label, key in self._samples(required, setting).items()}
            return Need(name, ref.kind, ref.part, ref.needed, made)
        key = (
            self._generator(required, setting)
            if ref.kind == "generator"
            else self._classifier(required, setting)
        )
        stage = self.book.plan.stages[key]
        inputs = {f"{NEEDED}{name}": key, **below(name, stage.inputs)}
        return Need(
            name, ref.kind, ref.part, ref.needed, inputs, needed_plugins(self.book.used[key]), stage.local
        )

    def _requirements(self, kind: Kind, use: Use, setting: Setting) -> dict[str, Required]:
        place = (kind, id(use))
        if place not in self._required:
            try:
                found = required_of(kind, use, self.book.plugins, self.matrix)
            except UserError as error:
                raise self.matrix.error(error.message, setting.at, error.hint) from error
            self._required[place] = (use, found)  # a reference, so that the id is not reused
        return self._required[place][1]

    @staticmethod
    def _within(setting: Setting, name: str, use: Use) -> Setting:
        """The setting of one requirement. A requirement that the matrix states as `from` is located there."""
        written = isinstance(use, ClassifierEntry) and use.taken_from is not None and name == FROM
        return replace(setting, at=(*setting.at, FROM)) if written else setting

    def _generator(self, required: Required, setting: Setting) -> str:
        """The fit of a generator that must be fitted only once. Raises UserError otherwise."""
        fits = self._required_fits(required, setting)
        keys = list(dict.fromkeys(fits.values()))
        if len(keys) != 1:
            found = f"'{required.use.name}' is fitted {len(keys)} times ({', '.join(fits)})"
            hint = "write scope: pooled in the generator, or name one class: classes: [...]"
            raise self.matrix.error(f"{found}, but one network is required", setting.at, hint)
        return keys[0]

    def _required_fits(self, required: Required, setting: Setting) -> dict[str, str]:
        """The fits of a generator by class, or as `all` if it does not distinguish classes."""
        cell, use, strategy = setting.cell, required.generator, required.strategy
        assert cell.generator_seed is not None, "a cell that needs a generator has a seed for it"
        known = self.data.split(cell.dataset, cell.split_seed).classes
        if strategy is not None:
            classes = self.fits.classes(cell, strategy)
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
        return self._fits(use, classes, setting, reads, samples)

    def _samples(self, required: Required, setting: Setting) -> dict[str, str]:
        """The sample stages by class, with `n` images each, or as many as the class has real training images."""
        use, counts = required.generator, self._counts(setting.cell)
        split = self.data.split(setting.cell.dataset, setting.cell.split_seed)
        there = images_there(self.book.plugins, use, split)
        found = {}
        for name, fit in self._required_fits(required, setting).items():
            group = self.book.plan.stages[fit].params.fit_classes
            n = required.ref.n or (counts[name] if name in counts else sum(counts[k] for k in group))
            if n > there[name]:
                message = f"{use.name} has {there[name]:.0f} images of '{name}', but {n} are required"
                raise self.matrix.error(message, setting.at)
            found[name] = self.fits.sample(setting.cell, use, fit, name, n, None)
        return found

    def _classifier(self, required: Required, setting: Setting) -> str:
        """The training of a required classifier: on the training set of the classifier that requires it, or for a
        generator on real images under the generator's seed."""
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
        return self.train(required.classifier, Setting(cell, setting.at, on))

    def _counts(self, cell: Cell) -> Mapping[str, int]:
        split = self.data.split(cell.dataset, cell.split_seed)
        counts = self.data.counts(cell)
        return {name: counts[name] for name in split.classes}

    def _refuse_no_reserve(self, cell: Cell, at: KeyPath, name: str) -> None:
        if not self.data.split(cell.dataset, cell.split_seed).counts("reserve"):
            raise no_reserve(self.matrix, name, cell.dataset, at)
