"""Plans the stages of cells. Equal work is one stage, no matter how many cells and matrices need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from derm_bench.machine import Machine
from derm_bench.matrix.cells import generator_runs
from derm_bench.matrix.checks import permitted_leaks
from derm_bench.matrix.model import Cell, Matrix, StrategyEntry
from derm_bench.plain_text import listed
from derm_bench.plan.analysis import add_analysis
from derm_bench.plan.book import StageBook
from derm_bench.plan.built_on import built_on, list_required
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.data_warnings import warnings_of_groups, warnings_of_sizes
from derm_bench.plan.filters import Filters
from derm_bench.plan.fits import Fits
from derm_bench.plan.model import Plan, PlannedCell, PlannedFit
from derm_bench.plan.networks import Networks, Setting
from derm_bench.plan.pictures import Pictures
from derm_bench.plan.provenance import check_provenance
from derm_bench.plan.refusals import refuse_empty, refuse_no_state, refuse_one_class
from derm_bench.plan.scores import Scores
from derm_bench.plan.screens import Screens
from derm_bench.plan.test_sets import CellTests
from derm_bench.plan.trainings import Trainings, TrainingSet
from derm_bench.plugins import Plugins


def make_plan(matrix: Matrix, cells: Sequence[Cell], plugins: Plugins, machine: Machine) -> Plan:
    """The plan for `cells`, and for the strategies that only score a generator."""
    planner = _Planner(matrix, plugins, machine)
    planner.plan.warnings += permitted_leaks(matrix, plugins)
    for cell in cells:
        planner.add_cell(cell)
    runs = list(cells)
    for strategy in matrix.strategies:
        if not strategy.makes_cells:
            for run in generator_runs(matrix, strategy, cells):
                planner.fits_of(run, strategy)
                runs.append(run)
    planner.scores.add_controls()
    planner.screens.add_controls()
    planner.pictures.add()
    planner.screens.add_sheets()
    planner.plan.required = list_required(planner.plan)
    planner.warn_of_empty_quotas()
    planner.test_sets.warn_of_unscored()
    planner.warn_of_data(runs)
    check_provenance(planner.plan, plugins)
    add_analysis(planner.book)
    return planner.plan


class _Planner:
    def __init__(self, matrix: Matrix, plugins: Plugins, machine: Machine) -> None:
        self.matrix = matrix
        self.plan = Plan(matrix, machine)
        self.book = book = StageBook(self.plan, plugins)
        self.data = data = DataPlanner(matrix, book)
        self.fits, self.trainings = Fits(matrix, book, data), Trainings(matrix, book, data)
        self.networks = Networks(matrix, book, data, self.fits, self.trainings)
        self.scores = Scores(matrix, book, data, self.fits)
        self.screens = Screens(matrix, book, data, self.fits, self.scores)
        self.filters = Filters(matrix, book, data, self.fits, self.networks)
        self.test_sets = CellTests(matrix, data, self._drawn)
        self.pictures = Pictures(book, data, self.fits, self.scores)
        self._strategies = {entry.name: (k, entry) for k, entry in enumerate(matrix.strategies)}
        self._classifiers = {entry.label: (k, entry) for k, entry in enumerate(matrix.classifiers)}
        self._fits: dict[tuple[Any, ...], dict[str, str]] = {}
        # Why strategies add no synthetic images -> their names, in order.
        self._empty: dict[str, dict[str, None]] = {}

    def add_cell(self, cell: Cell) -> None:
        """Plans one cell: its generator, training and evaluations."""
        (at, strategy), (place, classifier) = (
            self._strategies[cell.strategy],
            self._classifiers[cell.classifier],
        )
        split = self.data.split(cell.dataset, cell.split_seed)
        quota = self.fits.quota(cell, strategy)
        refuse_one_class(self.matrix, self.data.place(cell.dataset), split)
        refuse_empty(self.matrix, at, strategy, cell, quota, split)
        fits, samples = self._samples(cell, strategy, quota)
        on = _training_set(strategy, samples)
        tested = self.test_sets.of_cell(cell, strategy, samples, quota)
        train = self.networks.train(classifier, Setting(cell, ("classifiers", place), on))
        evaluations = {name: self.trainings.evaluate(cell, train, test) for name, test in tested.items()}
        generator = strategy.generator.label if strategy.generator else ""
        unique = tuple(dict.fromkeys(fits.values()))
        planned = PlannedCell(
            cell, generator, train, evaluations, unique, samples, quota, *built_on(self.plan, train)
        )
        self.plan.cells.append(planned)

    def _drawn(self, cell: Cell, strategy: StrategyEntry) -> Mapping[str, str]:
        """The sample stages of another strategy for a cell, by class."""
        return self._samples(cell, strategy, self.fits.quota(cell, strategy))[1]

    def _samples(
        self, cell: Cell, strategy: StrategyEntry, quota: Mapping[str, int]
    ) -> tuple[Mapping[str, str], dict[str, str]]:
        """(fits, samples) of a cell, each by class; both are empty if its strategy uses no synthetic images."""
        if strategy.generator is None or strategy.synthetic is None:
            return {}, {}
        fits = self.fits_of(cell, strategy)
        kept = {name: self.fits.snapshots[fit] for name, fit in fits.items()}
        refuse_no_state(self.matrix, self._strategies[strategy.name][0], strategy, kept)
        samples, chosen = {}, self._chosen(cell, strategy, fits, quota)
        for name, n in quota.items():
            if n and name not in fits:
                where = ("strategies", self._strategies[strategy.name][0], "synthetic")
                raise self.matrix.error(f"the generator's scope has no group with '{name}' alone", where)
            if n:
                place = self._strategies[strategy.name][0]
                samples[name] = self.filters.sample(
                    cell, strategy, place, fits[name], name, n, chosen.get(fits[name])
                )
        if not samples:
            balanced = strategy.synthetic.balance is not None and strategy.synthetic.balance is not False
            why = (
                "its classes already have the requested size" if balanced else "its quota is 0 in every class"
            )
            self._empty.setdefault(why, {})[strategy.name] = None
        return fits, samples

    def _chosen(
        self, cell: Cell, strategy: StrategyEntry, fits: Mapping[str, str], quota: Mapping[str, int]
    ) -> dict[str, str]:
        """The stages that choose the snapshot of each fit, if the strategy samples from the best one."""
        if strategy.synthetic is None or strategy.synthetic.snapshot != "best_fd":
            return {}
        names: dict[str, list[str]] = {}
        for name, fit in fits.items():
            if quota.get(name):
                names.setdefault(fit, []).append(name)
        return {fit: self.scores.choice(cell, strategy, fit, of) for fit, of in names.items()}

    def warn_of_empty_quotas(self) -> None:
        """Adds one warning per reason for which strategies add no synthetic images."""
        for why, names in self._empty.items():
            named = listed([*names])
            said = f"{named} adds no synthetic images: {why}"
            if len(names) > 1:
                said = f"{named} add no synthetic images: {why.replace('its', 'their')}"
            self.plan.warnings.append(said)

    def warn_of_data(self, cells: Sequence[Cell]) -> None:
        """Adds the warnings about groups and about classes with few images."""
        for label in dict.fromkeys(cell.dataset for cell in cells):
            self.plan.warnings += warnings_of_groups(label, self.data.selection(label))
        self.plan.warnings += warnings_of_sizes(self.data, cells)

    def fits_of(self, cell: Cell, strategy: StrategyEntry) -> dict[str, str]:
        """The fits of the strategy's generator by class (`all` if it does not distinguish classes), planned with their
        scores and pictures once for all cells."""
        use = strategy.generator
        assert use is not None and cell.generator_seed is not None
        run = (cell.dataset, cell.train_fraction, strategy.name, cell.split_seed, cell.generator_seed)
        if run not in self._fits:
            at = ("strategies", self._strategies[strategy.name][0], "generator")
            found = self.networks.fits_of_strategy(cell, strategy, at)
            for key in dict.fromkeys(found.values()):
                names = "+".join(name for name, fit in found.items() if fit == key)
                self.plan.fits.append(
                    PlannedFit(
                        cell.dataset,
                        cell.train_fraction,
                        strategy.name,
                        use.name,
                        cell.split_seed,
                        cell.generator_seed,
                        names,
                        key,
                        self.fits.health[key],
                    )
                )
            self._fits[run] = found
            self.scores.add(cell, strategy, found)
            self.screens.add(cell, strategy, found)
        return self._fits[run]


def _training_set(strategy: StrategyEntry, samples: Mapping[str, str]) -> TrainingSet:
    """The training set of a strategy's classifiers."""
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
