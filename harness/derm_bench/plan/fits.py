"""Plans the fits of generators, their health checks and the samples from them, each once for all cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from derm_bench.errors import UserError
from derm_bench.matrix.model import Cell, GeneratorUse, Matrix, StrategyEntry
from derm_bench.matrix.options import states_weights
from derm_bench.options.pretrained import TrainedOn
from derm_bench.plan import params as p
from derm_bench.plan.amounts import ALL
from derm_bench.plan.book import Entry, StageBook
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.extra_data import NOTHING, Extra
from derm_bench.plan.kinds import BATCH_SIZE
from derm_bench.plan.needs import Needs, needed_plugins
from derm_bench.plan.quota import quotas
from derm_bench.plan.refusals import snapshots_of
from derm_bench.seeds import derive_seed
from derm_bench.splits import PARTS
from derm_bench.stage_names import CHOSEN, DATA, DERIVED, DERIVED_SYNTHETIC

# Options of a generator that the planner resolves. They are not part of the `options` of the stage.
RESOLVED = ("scope", "classes", "budget", "fit_on")


class Fits:
    """Enters the stages that fit generators and sample from them."""

    def __init__(self, matrix: Matrix, book: StageBook, data: DataPlanner) -> None:
        self.matrix, self.book, self.data = matrix, book, data
        self.plan = book.plan
        self.health: dict[str, str] = {}  # fit -> the stage that checks its health
        self.snapshots: dict[str, tuple[int, ...]] = {}  # fit -> the updates after which it keeps its state
        self._needs: dict[str, Needs] = {}
        self._samples: dict[tuple[str, str, int, str | int | None], str] = {}
        self._places = {strategy.name: place for place, strategy in enumerate(matrix.strategies)}

    def fit(
        self,
        cell: Cell,
        use: GeneratorUse,
        classes: tuple[str, ...],
        needs: Needs,
        reads: str = "",
        samples: Mapping[str, str] | None = None,
        extra: Extra = NOTHING,
    ) -> str:
        """The stage that fits a generator on `classes`: on the training images of a cell, on the part that `reads`
        names, or on the `samples` of other stages, and on the `extra` images. Stages that read its output wait until
        its health is checked."""
        spec = self.book.plugins.get("generator", use.name)
        self._warn_of_enlarged(use, cell)
        given = {name: key for name, key in (samples or {}).items() if name in classes}
        local = self.book.hashed(use.options).paths
        reads = reads or ("all" if use.options.fit_on == "all" else spec.reads)
        images = self._images(cell, classes, reads, given) + extra.images
        batch_size = getattr(use.options, spec.batch_option, BATCH_SIZE)
        updates = use.options.budget.in_updates(max(1, images), batch_size)
        snapshots = snapshots_of(self.matrix, updates)
        params = p.Fit(
            **self.data.viewed(cell),
            generator=use.name,
            options=self.book.settings(use, (*RESOLVED, *_stated(spec, use.options))),
            fit_classes=classes,
            reads=reads,
            requires=needs.params,
            updates=updates,
            snapshots=self.matrix.snapshots.every,
            seed=derive_seed("fit", cell.generator_seed, *classes),
            depends_on=self.book.depends_on("generator", use.name, use.options),
            extra=extra.params,
        )
        entry = Entry(
            inputs={"decode": self.data.decode(cell.dataset)}
            | {f"{DATA}{name}": key for name, key in given.items()}
            | self.data.derived(cell.dataset, "generator", use, given)
            | needs.inputs
            | dict(extra.inputs),
            plugins=[
                ("generator", use.name),
                *needs.plugins,
                *(("transform", t.name) for t in use.options.augment),
            ],
            words={"classes": "+".join(classes), "seed_number": cell.generator_seed},
            local={"paths": local, **needs.local},
        )
        key = self.book.enter("fit", params, entry)
        self.snapshots[key] = snapshots
        self._needs[key] = needs.lasting()
        if key not in self.health:
            self.health[key] = self._check(key, cell)
        return key

    def _warn_of_enlarged(self, use: GeneratorUse, cell: Cell) -> None:
        """Adds a warning if a generator is trained on images that are enlarged to its size."""
        stored, size = self.data.entries[cell.dataset].size, use.options.size
        if size is not None and size > stored and self.book.plugins.get("generator", use.name).trains:
            warning = (
                f"{use.label} is fitted at {size} px on images of {cell.dataset} that are stored at {stored} px: "
                "they are enlarged, which adds no detail, and its samples are reduced again; give the data set the "
                f"size {size} to train on what the images show"
            )
            self.plan.warnings += [warning] if warning not in self.plan.warnings else []

    def _images(self, cell: Cell, classes: tuple[str, ...], reads: str, samples: Mapping[str, str]) -> int:
        """The planned number of images of a fit."""
        if reads == "samples":
            return sum(int(self.plan.stages[key].params.n) for key in samples.values())
        if reads == "train":
            return self.data.images(cell, classes)
        split = self.data.split(cell.dataset, cell.split_seed)
        parts = PARTS if reads == "all" else (reads,)
        return sum(split.counts(part)[name] for part in parts for name in classes)

    def _check(self, fit: str, cell: Cell) -> str:
        """The stage that measures a few samples of a fit. If they have collapsed, no stage that depends on the fit
        runs."""
        params = self.plan.stages[fit].params
        more = {"updates": params.updates, "seed": params.seed}
        words = {"classes": "+".join(params.fit_classes), "seed_number": cell.generator_seed}
        key = self.from_fit("health", p.Health, fit, more, words, sees_data=True)
        self.book.guard(fit, key)
        return key

    def sample(
        self,
        cell: Cell,
        use: GeneratorUse,
        fit: str,
        label: str,
        n: int,
        snapshot: int | None,
        chosen: str | None = None,
    ) -> str:
        """The stage that draws `n` images of class `label` (or `all`) from a fitted generator, at the update `snapshot`
        (None: the end of the fit) or at that of the stage `chosen`."""
        place = (fit, label, n, chosen or snapshot)  # requested by every cell of a strategy
        if place not in self._samples:
            seed = derive_seed("sample", cell.generator_seed, label)
            at = " at the best snapshot" if chosen else "" if snapshot is None else f" at {snapshot}"
            more = {"label": label, "n": n, "snapshot": snapshot, "seed": seed}
            words = {"at": at, "seed_number": cell.generator_seed}
            self._samples[place] = self.from_fit("sample", p.Sample, fit, more, words, chosen=chosen)
        return self._samples[place]

    def from_fit(
        self,
        kind: str,
        record: type[Any],
        fit: str,
        more: Mapping[str, Any],
        words: Mapping[str, Any],
        *,
        sees_data: bool = False,
        chosen: str | None = None,
    ) -> str:
        """A stage that restores a fitted generator. It reads the data of the fit if `sees_data` is set, or if the
        generator samples from these data."""
        fitted, needs = self.plan.stages[fit], self._needs[fit]
        name = fitted.params.generator
        sees_data = sees_data or self.book.plugins.get("generator", name).conditions_on != "none"
        data = {
            given: key
            for given, key in fitted.inputs.items()
            if sees_data and (given == "decode" or given.startswith((DATA, DERIVED, DERIVED_SYNTHETIC)))
        }
        inherited = {field: getattr(fitted.params, field) for field in p.names_of(p.Generating)}
        local = {"paths": fitted.local.get("paths", {}), **needs.local}
        entry = Entry(
            inputs={"fit": fit, **needs.inputs, **data, **({CHOSEN: chosen} if chosen else {})},
            plugins=[("generator", name), *needed_plugins(needs.plugins)],
            words=words,
            local=local,
        )
        return self.book.enter(kind, record(**(inherited | {"requires": needs.params} | dict(more))), entry)

    # ---------------------------------------------------------------------- classes and quotas

    def quota(self, cell: Cell, strategy: StrategyEntry) -> dict[str, int]:
        """The number of synthetic images per class, computed from the planned split."""
        if strategy.synthetic is None or strategy.generator is None:
            return {}
        classes = strategy.generator.options.classes or self.data.split(cell.dataset, cell.split_seed).classes
        try:
            return quotas(strategy.synthetic, self.data.counts(cell), classes)
        except UserError as error:
            raise self._blamed(strategy, error.message, "synthetic", error.hint) from error

    def classes(self, cell: Cell, strategy: StrategyEntry) -> tuple[str, ...]:
        """The classes to fit a strategy's generator on: all, or those that its option `classes` names. If each class is
        fitted separately, only classes with a quota are included."""
        use = strategy.generator
        assert use is not None
        split = self.data.split(cell.dataset, cell.split_seed)
        wanted = tuple(use.options.classes or split.classes)
        for name in wanted:
            if name not in split.classes:
                hint = "classes: " + ", ".join(split.classes)
                raise self._blamed(strategy, f"the data set has no class '{name}'", "generator", hint)
        conditional = self.book.plugins.get("generator", use.name).conditional
        per_class = use.options.scope == "per_class" or (use.options.scope is None and not conditional)
        if strategy.synthetic is None or not per_class:
            return wanted
        quota = self.quota(cell, strategy)
        return tuple(name for name in wanted if quota.get(name))

    def scopes(
        self, use: GeneratorUse, classes: tuple[str, ...]
    ) -> Iterable[tuple[tuple[str, ...], tuple[str, ...]]]:
        """(classes to fit on, classes that the fit can generate) for each fit of a generator."""
        conditional = self.book.plugins.get("generator", use.name).conditional
        scope = use.options.scope or ("pooled" if conditional else "per_class")
        if scope == "per_class":
            return [((name,), (name,)) for name in classes]
        groups = [classes] if scope == "pooled" else [tuple(group) for group in scope]
        return [(group, group if conditional or len(group) == 1 else (ALL,)) for group in groups]

    def _blamed(self, strategy: StrategyEntry, message: str, key: str, hint: str) -> UserError:
        return self.matrix.error(message, ("strategies", self._places[strategy.name], key), hint)


def _stated(spec: Any, options: Any) -> tuple[str, ...]:
    """The options that only state what the weights of a start were trained on, which change no number."""
    return tuple(TrainedOn.model_fields) if states_weights(spec) and isinstance(options, TrainedOn) else ()
