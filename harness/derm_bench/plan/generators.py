"""Plans generators: fits shared by all cells that need them, samples, their scores, controls and grids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from derm_bench.errors import UserError
from derm_bench.fidelity.halves import MAX_IMAGES, split_halves
from derm_bench.matrix.model import Cell, GeneratorUse, Matrix, StrategyEntry
from derm_bench.plan import costs
from derm_bench.plan.book import StageBook
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.keys import PROTOCOL_VERSION, derive_seed, split_paths
from derm_bench.plan.model import PlannedFidelity, PlannedFit
from derm_bench.plan.provenance import images_there
from derm_bench.plan.quota import quotas
from derm_bench.plan.requires import DATA, Requirements, Setting, needed_plugins
from derm_bench.specs import NEEDED
from derm_bench.yamlio import KeyPath

# The class of a generator that was fitted on several classes without telling them apart.
ALL = "all"
CONTROLS = ("real-holdout", "noise")


class GeneratorPlanner:
    """Plans the generator stages of cells and of strategies that only score one."""

    def __init__(self, matrix: Matrix, book: StageBook, data: DataPlanner, requires: Requirements) -> None:
        self.matrix = matrix
        self.book = book
        self.data = data
        self.requires = requires
        self.plan = book.plan
        self._fits: dict[tuple[Any, ...], dict[str, str]] = {}
        self._samples: dict[tuple[str, str, int, int | None], str] = {}
        self._places = {strategy.name: place for place, strategy in enumerate(matrix.strategies)}
        self._snapshots: dict[str, tuple[int, ...]] = {}
        self._halves: dict[tuple[str, int, str], int] = {}
        # fit -> "<class>/<step>" -> the sample that is scored and drawn
        self._drawn: dict[str, dict[str, str]] = {}
        images = [use for use in matrix.metrics if book.plugins.get("metric", use.name).level == "images"]
        self.metrics = images

    # ------------------------------------------------------------------- fits and samples

    def quota(self, cell: Cell, strategy: StrategyEntry) -> dict[str, int]:
        """Synthetic images a class, from the planned split."""
        if strategy.synthetic is None or strategy.generator is None:
            return {}
        classes = strategy.generator.options.classes or self.data.split(cell.dataset, cell.split_seed).classes
        try:
            return quotas(strategy.synthetic, self.data.counts(cell), classes)
        except UserError as error:
            raise self._blamed(strategy, error.message, "synthetic", error.hint) from error

    def fits(self, cell: Cell, strategy: StrategyEntry) -> dict[str, str]:
        """The fit stage of each class that the strategy's generator makes (`all` where it tells none apart),
        each scored and drawn."""
        use = strategy.generator
        assert use is not None and cell.generator_seed is not None
        run = (cell.dataset, cell.train_fraction, strategy.name, cell.split_seed, cell.generator_seed)
        if run not in self._fits:
            found: dict[str, str] = {}
            at = ("strategies", self._places[strategy.name], "generator")
            for group, names in self.scopes(use, self.classes(cell, strategy)):
                key = self.fit(cell, use, group, at)
                found |= dict.fromkeys(names, key)
                self.plan.fits.append(
                    PlannedFit(
                        cell.dataset,
                        cell.train_fraction,
                        strategy.name,
                        use.name,
                        cell.split_seed,
                        cell.generator_seed,
                        "+".join(names),
                        key,
                    )
                )
            self._fits[run] = found
            self._score(cell, strategy, found)
        return self._fits[run]

    def sample(
        self, cell: Cell, use: GeneratorUse, fit: str, label: str, n: int, snapshot: int | None
    ) -> str:
        """The stage that draws `n` images of class `label` (or `all`) from a fitted generator."""
        place = (fit, label, n, snapshot)  # asked for by every cell of a strategy
        if place not in self._samples:
            seed = derive_seed("sample", cell.generator_seed, label)
            step = "" if snapshot is None else f" at {snapshot}"
            self._samples[place] = self._from_fit(
                "sample",
                "derm_bench.stages.sample:sample",
                f"sample {n} {label} from {use.name}{step} seed {cell.generator_seed}",
                fit,
                {"label": label, "n": n, "snapshot": snapshot, "seed": seed},
                costs.sample(n),
            )
        return self._samples[place]

    def _from_fit(
        self, kind: str, function: str, title: str, fit: str, more: Mapping[str, Any], cost: float
    ) -> str:
        """A stage that restores a fitted generator."""
        fitted = self.plan.stages[fit]
        name = fitted.params["generator"]
        shown = self.book.plugins.get("generator", name).conditions_on != "none"
        inputs = {"fit": fit} | {
            given: key
            for given, key in fitted.inputs.items()
            if given.startswith(NEEDED) or (shown and (given == "decode" or given.startswith(DATA)))
        }
        inherited = ("generator", "options", "fit_classes", "size", "split", "classes", "fraction", "clean")
        params = {given: fitted.params[given] for given in (*inherited, "reads", "select_on_test")}
        params |= {given: fitted.params[given] for given in ("requires",) if given in fitted.params}
        return self.book.enter(
            kind,
            function,
            title,
            params | dict(more),
            inputs,
            [("generator", name), *needed_plugins(self.book.used[fit][1:])],
            local=fitted.local,
            cost=cost,
        )

    def fit(
        self,
        cell: Cell,
        use: GeneratorUse,
        classes: tuple[str, ...],
        at: KeyPath,
        reads: str = "",
        samples: Mapping[str, str] | None = None,
    ) -> str:
        """The stage that fits a generator on `classes` of a cell's training images, of its reserve where `reads` says
        so, or of `samples` that other stages make. `at` is the place in the matrix that asks for it."""
        spec = self.book.plugins.get("generator", use.name)
        needs = self.requires.of("generator", use, Setting(cell, at))
        given = {name: key for name, key in (samples or {}).items() if name in classes}
        hashed, local = self.book.hashed(use.options)
        images = self.data.images(cell, classes)
        params = self.data.view(cell.dataset, cell.split_seed, cell.train_fraction) | {
            "generator": use.name,
            "options": {k: v for k, v in hashed.items() if k not in ("scope", "classes")},
            "fit_classes": classes,
            "reads": reads or ("all" if use.options.fit_on == "all" else spec.reads),
            "snapshots": self.matrix.snapshots.every,
            "seed": derive_seed("fit", cell.generator_seed, *classes),
        }
        key = self.book.enter(
            "fit",
            "derm_bench.stages.fit:fit",
            f"fit {use.name} [{'+'.join(classes)}] seed {cell.generator_seed}",
            params | self.book.depends_on("generator", use.name, use.options) | needs.params,
            {"decode": self.data.decode(cell.dataset)}
            | {f"{DATA}{name}": key for name, key in given.items()}
            | needs.inputs,
            [("generator", use.name), *needs.plugins, *(("transform", t.name) for t in use.options.augment)],
            local={"paths": local, **needs.local},
            cost=costs.fit(use.options, images),
        )
        self._snapshots[key] = self._snapshot_steps(use, images)
        return key

    def _snapshot_steps(self, use: GeneratorUse, images: int) -> tuple[int, ...]:
        """The updates at which a fit keeps a snapshot, its last one aside."""
        every = self.matrix.snapshots.every
        updates = use.options.budget.in_updates(max(1, images), getattr(use.options, "batch_size", 64))
        return tuple(range(every, updates, every)) if every else ()

    def classes(self, cell: Cell, strategy: StrategyEntry) -> tuple[str, ...]:
        """The classes to fit on: one a class only those with a quota, else all, or those that `classes` names."""
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
        """(classes to fit on, classes that it can then make) of each fit stage of a generator."""
        conditional = self.book.plugins.get("generator", use.name).conditional
        scope = use.options.scope or ("pooled" if conditional else "per_class")
        if scope == "per_class":
            return [((name,), (name,)) for name in classes]
        groups = [classes] if scope == "pooled" else [tuple(group) for group in scope]
        return [(group, group if conditional or len(group) == 1 else (ALL,)) for group in groups]

    def _blamed(self, strategy: StrategyEntry, message: str, key: str, hint: str) -> UserError:
        return self.matrix.error(message, ("strategies", self._places[strategy.name], key), hint)

    # ---------------------------------------------------------------------------- scores

    def _score(self, cell: Cell, strategy: StrategyEntry, fits: Mapping[str, str]) -> None:
        """Scores each class of a generator at its end and at each snapshot, from a sample of its own. One with too few
        images for that is drawn, and not scored."""
        use = strategy.generator
        assert use is not None
        there = images_there(self.book.plugins, use, self.data.split(cell.dataset, cell.split_seed))
        for name, fit in fits.items():
            wanted = self._half(cell.dataset, cell.split_seed, name)
            n = int(min(wanted, there[name]))
            if n < wanted and self.metrics:
                few = f"{strategy.name}: {n} images of '{name}' are too few to be scored: it takes {wanted}"
                self.plan.warnings += [few] if few not in self.plan.warnings else []
            if not n:
                continue
            for step in (*self._snapshots[fit], None):
                sample = self.sample(cell, use, fit, name, n, step)
                self._drawn.setdefault(fit, {})[f"{name}/{'last' if step is None else step}"] = sample
                if self.metrics and n == wanted:
                    key = self._fidelity(cell.dataset, cell.split_seed, name, sample)
                    self.plan.fidelity.append(
                        PlannedFidelity(
                            cell.dataset,
                            cell.train_fraction,
                            strategy.name,
                            use.name,
                            cell.split_seed,
                            cell.generator_seed,
                            name,
                            step,
                            key,
                        )
                    )

    def _half(self, label: str, split_seed: int, name: str) -> int:
        """How many images both sides of a class's comparison have."""
        place = (label, split_seed, name)
        if place not in self._halves:
            split = self.data.split(label, split_seed)
            where = split.indices("train", classes=None if name == ALL else [name])
            half, _ = split_halves([split.ids[i] for i in where], [split.groups[i] for i in where])
            self._halves[place] = max(2, min(len(half), MAX_IMAGES))
        return self._halves[place]

    def _needs_reference(self) -> bool:
        return any(self.book.plugins.get("metric", use.name).extractor == "domain" for use in self.metrics)

    def _reference(self, label: str, split_seed: int) -> str:
        """The `_domain` reference network: once a split, on the whole of train, whatever the fraction."""
        return self.book.enter(
            "fit",
            "derm_bench.stages.reference:reference",
            f"fit the reference network of {label}",
            self.data.view(label, split_seed, 1.0) | {"reference": PROTOCOL_VERSION},
            {"decode": self.data.decode(label)},
            cost=costs.REFERENCE,
        )

    def _fidelity(self, label: str, split_seed: int, name: str, source: str) -> str:
        """Compares images with the fixed half of a class: those of the sample stage `source`, or a control."""
        control = source in CONTROLS
        real = self._measure("real_features", f"features of real {name} of {label}", label, split_seed, name)
        return self._measure(
            "fidelity",
            f"score {source if control else self.plan.stages[source].title} [{name}]",
            label,
            split_seed,
            name,
            {"control": source if control else None},
            {"real": real} if control else {"real": real, "sample": source},
        )

    def _measure(
        self,
        function: str,
        title: str,
        label: str,
        split_seed: int,
        name: str,
        params: Mapping[str, Any] | None = None,
        inputs: Mapping[str, str] | None = None,
    ) -> str:
        """A stage that needs the extractors of all image metrics, on a class of a split."""
        given = {"decode": self.data.decode(label)} | dict(inputs or {})
        if self._needs_reference():
            given["reference"] = self._reference(label, split_seed)
        metrics = [self.book.metric(use.name, use.options) for use in self.metrics]
        return self.book.enter(
            "fidelity",
            f"derm_bench.stages.fidelity:{function}",
            title,
            self.data.view(label, split_seed, 1.0) | {"class": name, "metrics": metrics} | dict(params or {}),
            given,
            [("metric", use.name) for use in self.metrics],
            local={"metrics": [split_paths(use.options)[1] for use in self.metrics]},
            cost=costs.FIDELITY,
        )

    def add_controls(self) -> None:
        """The control rows of every split that has a scored generator: real images held out, and noise."""
        for label, seed in dict.fromkeys((row.dataset, row.split_seed) for row in self.plan.fidelity):
            names = list(self.data.split(label, seed).classes)
            if any(row.class_name == ALL and row.dataset == label for row in self.plan.fidelity):
                names.append(ALL)
            for name in names:
                for control in CONTROLS:
                    key = self._fidelity(label, seed, name, control)
                    self.plan.fidelity.append(
                        PlannedFidelity(label, 1.0, "control", control, seed, None, name, None, key)
                    )

    def add_pictures(self) -> None:
        """Stages that draw each fit's samples: as labelled grids, snapshot by snapshot; beside their nearest real
        neighbours; and on the way from one to another, where they are made of noise."""
        runs = {planned.key: planned for planned in reversed(self.plan.fits)}
        for fit, samples in self._drawn.items():
            run = runs[fit]
            last = {
                name.removesuffix("/last"): key for name, key in samples.items() if name.endswith("/last")
            }
            title = self.plan.stages[fit].title.removeprefix("fit ")
            grids = self.book.enter(
                "analyse",
                "derm_bench.stages.analyse:grids",
                f"draw samples of {title}",
                {"title": title},
                samples,
                on_device=False,
            )
            self.plan.pictures[fit] = [grids, self._neighbours(run, title, last)]
            spec = self.book.plugins.get("generator", run.generator)
            if spec.conditions_on == "none" and not spec.finite and not spec.commands:
                seed = derive_seed("interpolate", run.generator_seed)
                self.plan.pictures[fit].append(
                    self._from_fit(
                        "analyse",
                        "derm_bench.stages.interpolate:interpolate",
                        f"interpolate between samples of {title}",
                        fit,
                        {"title": title, "labels": list(last), "seed": seed},
                        costs.sample(32 * len(last)),
                    )
                )

    def _neighbours(self, run: PlannedFit, title: str, samples: Mapping[str, str]) -> str:
        """The stage that draws the nearest real neighbours of a fit's `samples`, in features of the reference network
        where there is one."""
        view = self.data.view(run.dataset, run.split_seed, run.train_fraction)
        inputs = {"decode": self.data.decode(run.dataset)}
        if self._needs_reference():
            inputs["reference"] = self._reference(run.dataset, run.split_seed)
            inputs["features"] = self.book.enter(
                "analyse",
                "derm_bench.stages.neighbours:training_features",
                f"features of training images of {run.dataset}",
                self.data.view(run.dataset, run.split_seed, 1.0),
                dict(inputs),
                cost=costs.FIDELITY,
            )
        return self.book.enter(
            "analyse",
            "derm_bench.stages.neighbours:neighbours",
            f"draw real neighbours of samples of {title}",
            view
            | {
                "title": title,
                "fit_classes": self.plan.stages[run.key].params["fit_classes"],
                "licence": self.data.licences[run.dataset],
            },
            inputs | {f"sample/{name}": key for name, key in samples.items()},
            cost=costs.FIDELITY,
        )
