"""Cells -> stages: equal work is one stage, whichever cells and matrices ask for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from derm_bench.matrix.cells import generator_runs
from derm_bench.matrix.model import Cell, Matrix, StrategyEntry
from derm_bench.plan.book import StageBook
from derm_bench.plan.classifiers import ClassifierPlanner
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.generators import GeneratorPlanner
from derm_bench.plan.model import Plan, PlannedCell, Stage
from derm_bench.plan.numerics import Machine
from derm_bench.plan.provenance import check_provenance
from derm_bench.plan.requires import Requirements, Setting, TrainingSet, built_on, list_required
from derm_bench.plugins import Plugins


def make_plan(matrix: Matrix, cells: Sequence[Cell], plugins: Plugins, machine: Machine) -> Plan:
    """The plan of `cells`, and of the strategies that only score a generator."""
    planner = _Planner(matrix, plugins, machine)
    for cell in cells:
        planner.add_cell(cell)
    for strategy in matrix.strategies:
        if not strategy.makes_cells:
            for run in generator_runs(matrix, strategy, cells):
                planner.generators.fits(run, strategy)
    planner.generators.add_controls()
    planner.generators.add_pictures()
    planner.data.add_sheets()
    planner.plan.required = list_required(planner.plan)
    check_provenance(planner.plan, plugins)
    planner.requires.part()
    return planner.plan


def figures_stage(plugins: Plugins, plan: Plan, digests: Mapping[str, str], folder: Path) -> Stage:
    """The `analyse` stage that draws the figures of a run directory from its tables, known by their digests."""
    drawing = Plan(plan.matrix, plan.machine)
    key = StageBook(drawing, plugins).enter(
        "analyse",
        "derm_bench.stages.analyse:figures",
        "draw figures",
        {"tables": dict(digests)},
        {},
        on_device=False,
        local={"folder": str(folder.absolute())},
    )
    return drawing.stages[key]


class _Planner:
    def __init__(self, matrix: Matrix, plugins: Plugins, machine: Machine) -> None:
        self.matrix = matrix
        self.plan = Plan(matrix, machine)
        self.book = StageBook(self.plan, plugins)
        self.data = DataPlanner(matrix, self.book)
        self.requires = Requirements(matrix, self.book, self.data)
        self.generators = GeneratorPlanner(matrix, self.book, self.data, self.requires)
        self.classifiers = ClassifierPlanner(matrix, self.book, self.data, self.requires)
        self.requires.generators, self.requires.classifiers = self.generators, self.classifiers
        self._strategies = {entry.name: entry for entry in matrix.strategies}
        self._classifiers = {entry.label: (k, entry) for k, entry in enumerate(matrix.classifiers)}

    def add_cell(self, cell: Cell) -> None:
        """Plans one cell: its generator, training and evaluations."""
        strategy, (place, classifier) = self._strategies[cell.strategy], self._classifiers[cell.classifier]
        fits: Mapping[str, str] = {}
        samples: dict[str, str] = {}
        quota = self.generators.quota(cell, strategy)
        if strategy.generator is not None and strategy.synthetic is not None:
            step = strategy.synthetic.snapshot if isinstance(strategy.synthetic.snapshot, int) else None
            fits = self.generators.fits(cell, strategy)
            for name, n in quota.items():
                if n and name not in fits:
                    where = ("strategies", self.matrix.strategies.index(strategy), "synthetic")
                    raise self.matrix.error(f"the generator's scope has no group with '{name}' alone", where)
                if n:
                    samples[name] = self.generators.sample(
                        cell, strategy.generator, fits[name], name, n, step
                    )
            if not samples:
                warning = (
                    f"{strategy.name} asks for no synthetic image: its classes are as large as asked already"
                )
                self.plan.warnings += [warning] if warning not in self.plan.warnings else []
        setting = Setting(cell, ("classifiers", place), _training_set(strategy, samples))
        train = self.classifiers.train(classifier, setting)
        evaluations = {
            test.name: self.classifiers.evaluate(cell, classifier, train) for test in self.matrix.test_sets
        }
        generator = strategy.generator.label if strategy.generator else ""
        unique = tuple(dict.fromkeys(fits.values()))
        self.plan.cells.append(
            PlannedCell(
                cell, generator, train, evaluations, unique, samples, quota, *built_on(self.plan, train)
            )
        )


def _training_set(strategy: StrategyEntry, samples: Mapping[str, str]) -> TrainingSet:
    """What a strategy trains classifiers on."""
    synthetic = strategy.synthetic
    return TrainingSet(
        title=strategy.name,
        augment=strategy.augment,
        balance=strategy.balance,
        replace_real=bool(synthetic and synthetic.replace_real),
        holdout=synthetic.holdout if synthetic else 0.0,
        val=synthetic.val if synthetic else "real",
        samples=samples,
    )
