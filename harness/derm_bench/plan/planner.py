"""Cells -> stages. Every stage is keyed by its options, seeds, code and upstream keys, so equal work is one stage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from derm_bench.errors import UserError
from derm_bench.fidelity.halves import MAX_IMAGES, split_halves
from derm_bench.matrix.model import (
    Cell,
    ClassifierEntry,
    GeneratorUse,
    Matrix,
    PluginUse,
    StrategyEntry,
)
from derm_bench.plan import costs
from derm_bench.plan.closure import source_closure
from derm_bench.plan.keys import (
    PROTOCOL_VERSION,
    canonical,
    derive_seed,
    imported_versions,
    key_of,
    plugin_identity,
    split_paths,
)
from derm_bench.plan.model import Plan, PlannedCell, PlannedFidelity, PlannedFit, Stage
from derm_bench.plan.numerics import Machine
from derm_bench.plan.quota import quotas
from derm_bench.plan.split import PlannedSplit, Selection, plan_split, select
from derm_bench.plugins import Plugins
from derm_bench.specs import Task, TransformUse, create, load_object

# The class of a generator that was fitted on several classes without telling them apart.
ALL = "all"


def make_plan(matrix: Matrix, cells: Sequence[Cell], plugins: Plugins, machine: Machine) -> Plan:
    """The plan of `cells`, and of the strategies that only score a generator."""
    planner = _Planner(matrix, plugins, machine)
    for cell in cells:
        planner.add_cell(cell)
    if len(matrix.strategies) > 0:
        planner.add_scored_strategies(cells)
    planner.add_controls()
    planner.add_grids()
    return planner.plan


def figures_stage(plan: Plan, digests: Mapping[str, str], folder: Path) -> Stage:
    """The `analyse` stage that draws the figures of a run directory from its tables, known by their digests."""
    function = "derm_bench.stages.analyse:figures"
    identity: dict[str, Any] = {
        "protocol": PROTOCOL_VERSION,
        "kind": "analyse",
        "params": {"tables": dict(digests)},
        "inputs": {},
        "code": {"stage": source_closure(function).digest, "plugins": []},
        "numerics": {"versions": imported_versions((function,))},
    }
    local = {"folder": str(folder.absolute())}
    return Stage(key_of(identity), "analyse", function, "draw figures", identity["params"], {}, identity, local)


class _Planner:
    def __init__(self, matrix: Matrix, plugins: Plugins, machine: Machine) -> None:
        self.matrix = matrix
        self.plugins = plugins
        self.machine = machine
        self.plan = Plan(matrix, machine)
        self.datasets = {entry.label: entry for entry in matrix.datasets}
        self.strategies = {entry.name: entry for entry in matrix.strategies}
        self.classifiers = {entry.label: entry for entry in matrix.classifiers}
        self.selections: dict[str, Selection] = {}
        self.fingerprints: dict[str, Mapping[str, str]] = {}
        self.memo: dict[Any, Any] = {}
        self.snapshots: dict[str, tuple[int, ...]] = {}
        self.drawn: dict[str, dict[str, str]] = {}
        self.metrics = [use for use in matrix.metrics if plugins.get("metric", use.name).level == "images"]

    # ------------------------------------------------------------------ data and split

    def selection(self, label: str) -> Selection:
        """The images of a data set, described once."""
        if label not in self.selections:
            entry = self.datasets[label]
            dataset = create(self.plugins.get("dataset", entry.name), entry.options, Task((), entry.size))
            try:
                description = dataset.describe(entry.options)
                chosen = select(description, entry.classes, entry.limit, entry.split.group, entry.split.seed)
            except UserError as error:
                raise self._located(error, label) from error
            digests = dataset.fingerprint(entry.options)
            self.fingerprints[label] = {name: digests[name] for name in chosen.ids}
            self.selections[label] = chosen
        return self.selections[label]

    def split(self, label: str, seed: int) -> PlannedSplit:
        """The split of a data set under a split seed, planned once and kept as plan data."""
        if (label, seed) not in self.plan.splits:
            allow = "missing_class" in self.matrix.protocol.allow
            try:
                planned = plan_split(self.selection(label), self.datasets[label].split, seed, allow_missing=allow)
            except UserError as error:
                raise self._located(error, label) from error
            self.plan.splits[label, seed] = planned
            self.plan.data[planned.digest] = planned.csv
        return self.plan.splits[label, seed]

    def _located(self, error: UserError, label: str) -> UserError:
        where = next(i for i, entry in enumerate(self.matrix.datasets) if entry.label == label)
        return UserError(
            error.message,
            file=self.matrix.file,
            path=("datasets", where, *error.path),
            line=error.line,
            hint=error.hint,
        )

    def decode(self, label: str) -> str:
        """The decode stage of a data set: its images at the stored size, preprocessed."""
        if label in self.plan.decodes:
            return self.plan.decodes[label]
        entry = self.datasets[label]
        selection = self.selection(label)
        images = "\n".join(
            f"{name}\t{group}\t{kind}\t{self.fingerprints[label][name]}"
            for name, group, kind in zip(selection.ids, selection.groups, selection.labels, strict=True)
        ).encode()
        hashed, local = split_paths(entry.options)
        params = {
            "dataset": entry.name,
            "options": {k: v for k, v in hashed.items() if k not in local},
            "images": self._keep(images),
            "classes": selection.classes,
            "size": entry.size,
            "resize": entry.resize,
            "preprocess": _transforms(entry.preprocess),
            "unreadable": entry.clean.unreadable,
        }
        code = [("dataset", entry.name), *(("transform", use.name) for use in entry.preprocess)]
        key = self._stage(
            "decode",
            "derm_bench.stages.decode:decode",
            f"decode {label}",
            params,
            {},
            code,
            on_device=False,
            local={"paths": local},
            cost=costs.decode(len(selection.ids)),
        )
        self.plan.decodes[label] = key
        return key

    def _keep(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.plan.data[digest] = content
        return digest

    def _view(self, label: str, seed: int, fraction: float) -> dict[str, Any]:
        """What every stage that reads training images states about them."""
        entry = self.datasets[label]
        split = self.split(label, seed)
        return {
            "split": split.digest,
            "classes": split.classes,
            "size": entry.size,
            "fraction": fraction,
            "clean": {"duplicates": entry.clean.duplicates, "blurred": entry.clean.blurred},
            "select_on_test": split.select_on_test,
        }

    # ----------------------------------------------------------------------- generators

    def fit(self, cell: Cell, use: GeneratorUse, classes: tuple[str, ...]) -> str:
        """The stage that fits a generator on `classes` of a cell's training images."""
        assert cell.generator_seed is not None
        view = self._view(cell.dataset, cell.split_seed, cell.train_fraction)
        hashed, local = split_paths(use.options)
        spec = self.plugins.get("generator", use.name)
        params = view | {
            "generator": use.name,
            "options": {k: v for k, v in hashed.items() if k not in ("scope", "classes")},
            "fit_classes": classes,
            "reads": "all" if use.options.fit_on == "all" else spec.reads,
            "snapshots": self.matrix.snapshots.every,
            "seed": derive_seed("fit", cell.generator_seed, *classes),
        }
        params |= self._depends_on("generator", use.name, use.options)
        code = [("generator", use.name), *(("transform", t.name) for t in use.options.augment)]
        key = self._stage(
            "fit",
            "derm_bench.stages.fit:fit",
            f"fit {use.name} [{'+'.join(classes)}] seed {cell.generator_seed}",
            params,
            {"decode": self.decode(cell.dataset)},
            code,
            local={"paths": local},
            cost=costs.fit(use.options, self._images(cell, classes)),
        )
        self.snapshots[key] = self._snapshot_steps(use, self._images(cell, classes))
        return key

    def _snapshot_steps(self, use: GeneratorUse, images: int) -> tuple[int, ...]:
        """The updates at which a fit keeps a snapshot, its last one aside."""
        every = self.matrix.snapshots.every
        updates = use.options.budget.in_updates(max(1, images), getattr(use.options, "batch_size", 64))
        return tuple(range(every, updates, every)) if every else ()

    def _images(self, cell: Cell, classes: Iterable[str]) -> int:
        counts = self.split(cell.dataset, cell.split_seed).counts("train", cell.train_fraction)
        return sum(counts[name] for name in classes)

    def sample(self, cell: Cell, use: GeneratorUse, fit: str, label: str, n: int, snapshot: int | None) -> str:
        """The stage that draws `n` images of class `label` (or `all`) from a fitted generator."""
        fitted = self.plan.stages[fit]
        inputs = {"fit": fit}
        if self.plugins.get("generator", use.name).conditions_on != "none":
            inputs["decode"] = fitted.inputs["decode"]
        params = {
            "label": label,
            "n": n,
            "snapshot": snapshot,
            "seed": derive_seed("sample", cell.generator_seed, label),
        }
        params |= {name: fitted.params[name] for name in ("generator", "options", "fit_classes", "size")}
        params |= {name: fitted.params[name] for name in ("split", "classes", "fraction", "clean", "reads", "select_on_test")}
        step = "" if snapshot is None else f" at {snapshot}"
        return self._stage(
            "sample",
            "derm_bench.stages.sample:sample",
            f"sample {n} {label} from {use.name}{step} seed {cell.generator_seed}",
            params,
            inputs,
            [("generator", use.name)],
            local=fitted.local,
            cost=costs.sample(n),
        )

    def fits(self, cell: Cell, strategy: StrategyEntry) -> dict[str, str]:
        """The fit stage of each class that the strategy's generator makes (`all` where it tells none apart)."""
        use = strategy.generator
        assert use is not None
        memo = (cell.dataset, cell.train_fraction, strategy.name, cell.split_seed, cell.generator_seed)
        if memo not in self.memo:
            classes = self._generated_classes(cell, strategy)
            found: dict[str, str] = {}
            self.memo[memo] = found
            for group, names in _scopes(self.plugins.get("generator", use.name).conditional, use, classes):
                key = self.fit(cell, use, group)
                found |= dict.fromkeys(names, key)
                fields = (cell.dataset, cell.train_fraction, strategy.name, use.name, cell.split_seed, cell.generator_seed)
                assert cell.generator_seed is not None
                self.plan.fits.append(PlannedFit(*fields, "+".join(names), key))  # type: ignore[arg-type]
        return self.memo[memo]

    def _generated_classes(self, cell: Cell, strategy: StrategyEntry) -> tuple[str, ...]:
        """The classes that a generator must make: those with a quota, or all (or `classes`) when only scored."""
        use = strategy.generator
        assert use is not None
        split = self.split(cell.dataset, cell.split_seed)
        wanted = use.options.classes or split.classes
        unknown = [name for name in wanted if name not in split.classes]
        if unknown:
            raise UserError(
                f"strategy '{strategy.name}': the generator's classes name '{unknown[0]}'",
                file=self.matrix.file,
                hint="classes: " + ", ".join(split.classes),
            )
        if strategy.synthetic is None or use.options.scope == "pooled":
            return tuple(wanted)
        if self.plugins.get("generator", use.name).conditional or not isinstance(use.options.scope, str | None):
            return tuple(wanted)
        quota = self.quota(cell, strategy)
        return tuple(name for name in wanted if quota.get(name))

    def quota(self, cell: Cell, strategy: StrategyEntry) -> dict[str, int]:
        """Synthetic images a class, from the planned split."""
        if strategy.synthetic is None or strategy.generator is None:
            return {}
        split = self.split(cell.dataset, cell.split_seed)
        counts = split.counts("train", cell.train_fraction)
        return quotas(strategy.synthetic, counts, strategy.generator.options.classes or split.classes)

    # ---------------------------------------------------------------------------- cells

    def add_cell(self, cell: Cell) -> None:
        """Plans one cell: its generator, training and evaluations."""
        strategy = self.strategies[cell.strategy]
        classifier = self.classifiers[cell.classifier]
        fits: dict[str, str] = {}
        samples: dict[str, str] = {}
        quota = self.quota(cell, strategy)
        if strategy.generator is not None:
            fits = self.fits(cell, strategy)
            samples = {
                name: self.sample(cell, strategy.generator, fits[name], name, n, _snapshot(strategy))
                for name, n in quota.items()
                if n
            }
            self.add_fidelity(cell, strategy, fits)
        train = self.train(cell, strategy, classifier, samples)
        evaluations = {test.name: self.evaluate(cell, classifier, train) for test in self.matrix.test_sets}
        label = strategy.generator.name if strategy.generator else ""
        unique = tuple(dict.fromkeys(fits.values()))
        self.plan.cells.append(PlannedCell(cell, label, train, evaluations, unique, samples, quota))

    def train(self, cell: Cell, strategy: StrategyEntry, classifier: ClassifierEntry, samples: Mapping[str, str]) -> str:
        """The stage that trains a classifier on real and synthetic images."""
        hashed, local = split_paths(classifier.options)
        synthetic = strategy.synthetic
        params = self._view(cell.dataset, cell.split_seed, cell.train_fraction) | {
            "classifier": classifier.name,
            "options": hashed,
            "augment": _transforms(strategy.augment),
            "balance": strategy.balance,
            "replace_real": bool(synthetic and synthetic.replace_real),
            "holdout": synthetic.holdout if synthetic else 0.0,
            "val": synthetic.val if synthetic else "real",
            "budget": self.matrix.budget.model_dump(exclude_none=True),
            "primary": self.matrix.analysis.primary,
            "seed": derive_seed("train", cell.classifier_seed),
        }
        params |= self._depends_on("classifier", classifier.name, classifier.options)
        inputs = {"decode": self.decode(cell.dataset)} | {f"synthetic/{name}": key for name, key in samples.items()}
        return self._stage(
            "train",
            "derm_bench.stages.train:train",
            f"train {cell.classifier} on {cell.strategy} seed {cell.classifier_seed}",
            params,
            inputs,
            [("classifier", classifier.name), *(("transform", use.name) for use in strategy.augment)],
            local={"paths": local},
            cost=costs.train(self.matrix.budget, classifier.options, self._images(cell, self.split(cell.dataset, cell.split_seed).classes)),
        )

    def evaluate(self, cell: Cell, classifier: ClassifierEntry, train: str) -> str:
        """The stage that predicts val and test and scores the predictions."""
        trained = self.plan.stages[train]
        predictions = [use for use in self.matrix.metrics if self.plugins.get("metric", use.name).level == "predictions"]
        params = {name: trained.params[name] for name in ("classifier", "options", "split", "classes", "size", "fraction", "clean", "select_on_test")}
        params["metrics"] = [self._use(use) for use in predictions]
        return self._stage(
            "evaluate",
            "derm_bench.stages.evaluate:evaluate",
            f"evaluate {cell.classifier} on {cell.strategy} seed {cell.classifier_seed}",
            params,
            {"train": train, "decode": trained.inputs["decode"]},
            [("classifier", classifier.name), *(("metric", use.name) for use in predictions)],
            local=trained.local,
            cost=costs.EVALUATE,
        )

    def add_scored_strategies(self, cells: Sequence[Cell]) -> None:
        """Generators without a quota: fitted, sampled and scored under the seeds that the matrix's cells use."""
        for strategy in self.matrix.strategies:
            if strategy.makes_cells:
                continue
            for cell in scored_cells(self.matrix, strategy, cells):
                self.add_fidelity(cell, strategy, self.fits(cell, strategy))

    # -------------------------------------------------------------------------- fidelity

    def reference(self, label: str, split_seed: int) -> str:
        """The `_domain` reference network: fitted once a split on the whole of train, whatever the fraction."""
        params = self._view(label, split_seed, 1.0) | {"reference": PROTOCOL_VERSION}
        return self._stage(
            "fit",
            "derm_bench.stages.reference:reference",
            f"fit the reference network of {label}",
            params,
            {"decode": self.decode(label)},
            [],
            cost=costs.REFERENCE,
        )

    def add_fidelity(self, cell: Cell, strategy: StrategyEntry, fits: Mapping[str, str]) -> None:
        """Scores each class of a generator at its end and at each snapshot, from a sample of its own."""
        use = strategy.generator
        assert use is not None
        memo = ("fidelity", cell.dataset, cell.train_fraction, strategy.name, cell.split_seed, cell.generator_seed)
        if memo in self.memo:
            return
        self.memo[memo] = True
        for name, fit in fits.items():
            n = self._half(cell.dataset, cell.split_seed, name)
            for step in (*self.snapshots[fit], None):
                sample = self.sample(cell, use, fit, name, n, step)
                self.drawn.setdefault(fit, {})[f"{name}/{'last' if step is None else step}"] = sample
                if not self.metrics:
                    continue
                key = self.fidelity(cell.dataset, cell.split_seed, name, sample)
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
                        sample,
                    )
                )

    def _half(self, label: str, split_seed: int, name: str) -> int:
        """How many images both sides of a class's comparison have."""
        memo = ("half", label, split_seed, name)
        if memo not in self.memo:
            split = self.split(label, split_seed)
            where = split.indices("train", classes=None if name == ALL else [name])
            half, _ = split_halves([split.ids[i] for i in where], [split.groups[i] for i in where])
            self.memo[memo] = max(2, min(len(half), MAX_IMAGES))
        return self.memo[memo]

    def fidelity(self, label: str, split_seed: int, name: str, source: str) -> str:
        """Compares images with the fixed half of a class: those of the sample stage `source`, or a control."""
        control = source in ("real-holdout", "noise")
        params = self._view(label, split_seed, 1.0) | {
            "class": name,
            "control": source if control else None,
            "metrics": [self._use(use) for use in self.metrics],
        }
        inputs = {"decode": self.decode(label)}
        if any(self.plugins.get("metric", use.name).extractor == "domain" for use in self.metrics):
            inputs["reference"] = self.reference(label, split_seed)
        if not control:
            inputs["sample"] = source
        return self._stage(
            "fidelity",
            "derm_bench.stages.fidelity:fidelity",
            f"score {source if control else self.plan.stages[source].title} [{name}]",
            params,
            inputs,
            [("metric", use.name) for use in self.metrics],
            local={"metrics": [split_paths(use.options)[1] for use in self.metrics]},
            cost=costs.FIDELITY,
        )

    def _use(self, use: PluginUse) -> dict[str, Any]:
        """A metric as stages are told of it."""
        found = self._depends_on("metric", use.name, use.options)
        return {"name": use.name, "options": split_paths(use.options)[0]} | found

    def _depends_on(self, kind: str, name: str, options: Any) -> dict[str, Any]:
        """What a plugin says its numbers depend on beside options and code."""
        path = self.plugins.get(kind, name).depends_on
        return {"depends_on": load_object(path)(options)} if path else {}

    def add_controls(self) -> None:
        """The control rows of every class that a generator was scored on: real images held out, and noise."""
        scored = dict.fromkeys((row.dataset, row.split_seed) for row in self.plan.fidelity)
        for label, split_seed in scored:
            names = list(self.split(label, split_seed).classes)
            if any(row.class_name == ALL for row in self.plan.fidelity if (row.dataset, row.split_seed) == (label, split_seed)):
                names.append(ALL)
            for name in names:
                for control in ("real-holdout", "noise"):
                    key = self.fidelity(label, split_seed, name, control)
                    self.plan.fidelity.append(
                        PlannedFidelity(label, 1.0, "control", control, split_seed, None, name, None, key)
                    )

    def add_grids(self) -> None:
        """A stage for each fit that draws its samples as labelled grids, snapshot by snapshot."""
        for fit, samples in self.drawn.items():
            fitted = self.plan.stages[fit]
            title = f"{fitted.params['generator']} [{'+'.join(fitted.params['fit_classes'])}]"
            self.plan.grids[fit] = self._stage(
                "analyse",
                "derm_bench.stages.analyse:grids",
                f"draw samples of {title}",
                {"title": title},
                samples,
                [],
                on_device=False,
            )

    # ---------------------------------------------------------------------------- stages

    def _stage(
        self,
        kind: str,
        function: str,
        title: str,
        params: Mapping[str, Any],
        inputs: Mapping[str, str],
        plugins: Sequence[tuple[str, str]],
        *,
        on_device: bool = True,
        local: Mapping[str, Any] | None = None,
        cost: float = 1.0,
    ) -> str:
        """Keys a stage and adds it, unless an equal one is planned already."""
        memo = ("stage", function, canonical(params), tuple(sorted(inputs.items())), tuple(plugins))
        if memo in self.memo:
            return self.memo[memo]
        identity = {
            "protocol": PROTOCOL_VERSION,
            "kind": kind,
            "params": params,
            "inputs": inputs,
            "code": self._code(function, plugins),
            "numerics": self._numerics(function, plugins, on_device),
        }
        key = key_of(identity)
        if key not in self.plan.stages:
            self.plan.stages[key] = Stage(key, kind, function, title, params, inputs, identity, local or {}, cost)
        self.memo[memo] = key
        return key

    def _code(self, function: str, plugins: Sequence[tuple[str, str]]) -> dict[str, Any]:
        memo = ("code", function, tuple(plugins))
        if memo not in self.memo:
            used = [plugin_identity(self.plugins, kind, name) for kind, name in dict.fromkeys(plugins)]
            self.memo[memo] = {"stage": source_closure(function).digest, "plugins": used}
        return self.memo[memo]

    def _numerics(self, function: str, plugins: Sequence[tuple[str, str]], on_device: bool) -> dict[str, Any]:
        memo = ("numerics", function, tuple(plugins), on_device)
        if memo not in self.memo:
            targets = (function, *(self.plugins.get(kind, name).create for kind, name in plugins))
            self.memo[memo] = {"versions": imported_versions(tuple(targets))}
            if on_device:
                self.memo[memo] |= {
                    "device": self.machine.device,
                    "precision": self.machine.precision,
                    "threads": self.machine.threads,
                }
        return self.memo[memo]


def scored_cells(matrix: Matrix, strategy: StrategyEntry, cells: Sequence[Cell]) -> list[Cell]:
    """Stand-ins for the cells that a score-only strategy does not have, one a generator seed."""
    from derm_bench.matrix.cells import generator_runs

    return generator_runs(matrix, strategy, cells)


def _scopes(conditional: bool, use: GeneratorUse, classes: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], tuple[str, ...]]]:
    """(classes to fit on, classes that it can make) of each fit stage of a generator."""
    scope = use.options.scope or ("pooled" if conditional else "per_class")
    if scope == "per_class":
        return [((name,), (name,)) for name in classes]
    groups = [classes] if scope == "pooled" else [tuple(group) for group in scope]
    return [(group, group if conditional or len(group) == 1 else (ALL,)) for group in groups]


def _snapshot(strategy: StrategyEntry) -> int | None:
    assert strategy.synthetic is not None
    return strategy.synthetic.snapshot if isinstance(strategy.synthetic.snapshot, int) else None


def _transforms(uses: Sequence[TransformUse]) -> list[dict[str, Any]]:
    return [{"name": use.name, "options": use.options.model_dump(mode="json")} for use in uses]




