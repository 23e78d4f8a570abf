"""Plans the test sets that a cell is scored on: the test part of its split, external data sets, synthetic images
that its strategy holds out, and the samples of another strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from derm_bench.matrix.model import Cell, Matrix, StrategyEntry, TestSet
from derm_bench.plain_text import listed
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.external import Externals, absent_classes
from derm_bench.stage_names import EXTERNAL, SYNTHETIC


@dataclass(frozen=True)
class Tested:
    """The images of a test set, as parameters and inputs of the evaluation. `title` is added to the title of the
    stage."""

    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    title: str = ""


TEST_PART = Tested()
Draw = Callable[[Cell, StrategyEntry], Mapping[str, str]]
"""Enters the sample stages of a strategy for a cell, by class."""


class CellTests:
    """The test sets of each cell."""

    def __init__(self, matrix: Matrix, data: DataPlanner, draw: Draw) -> None:
        self.matrix, self.data, self.plan, self.draw = matrix, data, data.plan, draw
        self._strategies = {entry.name: entry for entry in matrix.strategies}
        self.externals = Externals(matrix, data)
        # (synthetic test set, strategies that it does not score), in order.
        self._unscored: dict[str, dict[str, None]] = {}

    def of_cell(
        self, cell: Cell, strategy: StrategyEntry, samples: Mapping[str, str], quota: Mapping[str, int]
    ) -> dict[str, Tested]:
        """The test sets of a cell by name; `samples` are its sample stages by class, `quota` their numbers of images.
        A strategy that holds out no synthetic image is not scored on synthetic test sets, and one with a generator not
        on the samples of a strategy."""
        found: dict[str, Tested] = {}
        for index, test_set in enumerate(self.matrix.test_sets):
            if test_set.dataset is not None:
                found[test_set.name] = self._external(cell, test_set, index)
            elif test_set.synthetic is None:
                found[test_set.name] = TEST_PART
            elif test_set.strategy is not None:
                if strategy.generator is None:
                    found[test_set.name] = self._samples_of(cell, test_set)
            elif (tested := self._synthetic(cell, strategy, test_set, samples, quota)) is not None:
                found[test_set.name] = tested
        return found

    def warn_of_unscored(self) -> None:
        """Adds one warning per synthetic test set about the strategies that it does not score."""
        for name, strategies in self._unscored.items():
            some = listed([*strategies])
            self.plan.warnings.append(
                f"no synthetic images are held out by {some}: there is no score on the test set '{name}'"
            )

    def _external(self, cell: Cell, test_set: TestSet, index: int) -> Tested:
        label = self.externals.label(cell.dataset, index)
        clean = self.data.cleaning(label)
        allowed = "duplicates_across_splits" in self.matrix.protocol.allow
        params = {
            "split": self.plan.splits[label, 0].digest,
            "clean": clean,
            "shared": "drop" if clean["duplicates"] == "drop" else "keep" if allowed else "refuse",
        }
        self.data.audit_outside(cell, label, "test", self.plan.splits[label, 0])
        return Tested(params, {EXTERNAL: self.data.decode(label)}, f" on {test_set.name}")

    def _synthetic(
        self,
        cell: Cell,
        strategy: StrategyEntry,
        test_set: TestSet,
        samples: Mapping[str, str],
        quota: Mapping[str, int],
    ) -> Tested | None:
        holdout = strategy.synthetic.holdout if strategy.synthetic is not None else 0.0
        held = {name: int(holdout * quota[name]) for name in samples if int(holdout * quota[name])}
        if not held:
            self._unscored.setdefault(test_set.name, {})[strategy.name] = None
            return None
        if test_set.synthetic == "only":
            self._warn_of_absent(cell, strategy.name, test_set, held)
        inputs = {f"{SYNTHETIC}{name}": key for name, key in samples.items() if name in held}
        params = {"holdout": holdout, "real": test_set.synthetic == "added"}
        return Tested(params, inputs, f" on {test_set.name}")

    def _samples_of(self, cell: Cell, test_set: TestSet) -> Tested:
        """All samples of the strategy that a test set names, drawn with the generator seed of the cell's place among
        the seeds."""
        strategy = self._strategies[str(test_set.strategy)]
        seed = self._generator_seed(cell.seed) + strategy.seed_offset
        samples = self.draw(replace(cell, strategy=strategy.name, generator_seed=seed), strategy)
        self._warn_of_absent(cell, strategy.name, test_set, samples)
        inputs = {f"{SYNTHETIC}{name}": key for name, key in samples.items()}
        return Tested({"holdout": 1.0, "real": False}, inputs, f" on {test_set.name}")

    def _generator_seed(self, seed: int) -> int:
        """The generator seed that belongs to a listed seed of a cell: the same or, where generators have seeds of their
        own, that at the same place of their list, from the first on again where it is shorter."""
        axes = self.matrix.seeds
        if axes.together is not None:
            return seed
        listed, own = axes.classifier or (0,), axes.generator or (0,)
        return own[(listed.index(seed) if seed in listed else 0) % len(own)]

    def _warn_of_absent(
        self, cell: Cell, strategy: str, test_set: TestSet, there: Mapping[str, object]
    ) -> None:
        classes = self.data.split(cell.dataset, cell.split_seed).classes
        absent = [name for name in classes if name not in there]
        if absent:
            warning = f"{strategy}: {absent_classes(test_set.name, cell.dataset, absent)}"
            self.plan.warnings += [warning] if warning not in self.plan.warnings else []
