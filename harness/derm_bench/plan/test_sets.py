"""Plans the test sets that a cell is scored on: the test part of its split, external data sets, and synthetic images
that its strategy holds out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


class CellTests:
    """The test sets of each cell."""

    def __init__(self, matrix: Matrix, data: DataPlanner) -> None:
        self.matrix, self.data, self.plan = matrix, data, data.plan
        self.externals = Externals(matrix, data)
        # (synthetic test set, strategies that it does not score), in order.
        self._unscored: dict[str, dict[str, None]] = {}

    def of_cell(
        self, cell: Cell, strategy: StrategyEntry, samples: Mapping[str, str], quota: Mapping[str, int]
    ) -> dict[str, Tested]:
        """The test sets of a cell by name; `samples` are its sample stages by class, `quota` their numbers of images.
        A strategy that holds out no synthetic image is not scored on synthetic test sets."""
        found: dict[str, Tested] = {}
        for index, test_set in enumerate(self.matrix.test_sets):
            if test_set.dataset is not None:
                found[test_set.name] = self._external(cell, test_set, index)
            elif test_set.synthetic is None:
                found[test_set.name] = TEST_PART
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
        classes = self.data.split(cell.dataset, cell.split_seed).classes
        absent = [name for name in classes if name not in held]
        if absent and test_set.synthetic == "only":
            warning = f"{strategy.name}: {absent_classes(test_set.name, cell.dataset, absent)}"
            self.plan.warnings += [warning] if warning not in self.plan.warnings else []
        inputs = {f"{SYNTHETIC}{name}": key for name, key in samples.items() if name in held}
        params = {"holdout": holdout, "real": test_set.synthetic == "added"}
        return Tested(params, inputs, f" on {test_set.name}")
