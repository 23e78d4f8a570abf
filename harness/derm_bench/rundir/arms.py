"""The arms of a comparison: their planned and finished runs, the pairs of runs of two arms, and estimates from both."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from derm_bench.rundir.frames import Row, text
from derm_bench.stats.estimate import FEWEST, Estimate, estimate, over_splits

if TYPE_CHECKING:
    from derm_bench.stats.test_images import Deviations

ArmName = tuple[str, str, str, str, str]
"""(dataset, train_fraction, test_set, strategy, classifier), as text."""

COLUMNS = ("dataset", "train_fraction", "test_set", "strategy", "classifier")
AXES = {"split": "split_seed", "generator": "generator_seed", "classifier": "classifier_seed"}


@dataclass(frozen=True, eq=False)
class Runs:
    """Values of runs, or of pairs of runs, with the level of each on each axis of seeds (`split`, and `seed`, or
    `generator` and `classifier`). cells: the cell of each run, or (cell, cell of the baseline) of each pair."""

    values: list[float]
    levels: Mapping[str, list[int]]
    cells: list[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.values)

    def few(self) -> str:
        """Why these runs give no interval, `one seed` or `two generator seeds`; empty if they give one."""
        if not self.values:
            return "no run"
        for axis, found in self._counts().items():
            if found < FEWEST:
                number = {1: "one", 2: "two"}[found]
                name = {"seed": "seed", "split": "split"}.get(axis, f"{axis} seed")
                return f"{number} {name}{'s' if found > 1 else ''}"
        return ""

    def _counts(self) -> dict[str, int]:
        """The number of levels of the axes that a mean is taken over: splits if there are several, otherwise seeds."""
        counts = {axis: len(set(levels)) for axis, levels in self.levels.items()}
        return (
            {"split": counts["split"]}
            if counts["split"] > 1
            else {a: n for a, n in counts.items() if a != "split"}
        )


@dataclass(eq=False)
class Arms:
    """All arms of results.csv.

    rows: by arm, its rows, finished or not. offsets: `seed_offset` by strategy. sampled: a function that returns the
    deviations of the primary metric of a cell on a test set, or None. apart: test sets that score samples and not the
    arms, which are not compared on them.
    """

    rows: Mapping[ArmName, list[Row]]
    offsets: Mapping[str, int] = field(default_factory=dict)
    sampled: Callable[[str, str], Deviations | None] | None = None
    apart: Collection[str] = ()
    _ratios: dict[str, float] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(
        cls,
        results: Sequence[Row],
        offsets: Mapping[str, int] | None = None,
        sampled: Callable[[str, str], Deviations | None] | None = None,
        apart: Collection[str] = (),
    ) -> Arms:
        rows: dict[ArmName, list[Row]] = {}
        for row in results:
            name = (
                row["dataset"],
                text(row["train_fraction"]),
                row["test_set"],
                row["strategy"],
                row["classifier"],
            )
            rows.setdefault(name, []).append(row)
        return cls(rows, offsets or {}, functools.cache(sampled) if sampled is not None else None, apart)

    @functools.cached_property
    def crossed(self) -> bool:
        """Whether generator and classifier seeds are axes of their own, and do not move together."""
        pairs = ((number(r.get("generator_seed")), number(r.get("classifier_seed"))) for r in self._all)
        return any(g is not None and c is not None and g != c for g, c in pairs)

    @functools.cached_property
    def _all(self) -> list[Row]:
        return [row for rows in self.rows.values() for row in rows]

    def done(self, arm: ArmName) -> int:
        """The number of finished runs of an arm."""
        return sum(row["status"] == "done" for row in self.rows[arm])

    def whole(self, arm: ArmName) -> bool:
        """Whether every planned run of an arm is done."""
        return self.done(arm) == len(self.rows[arm])

    def of_arm(self, arm: ArmName, metric: str) -> Runs:
        """The values of the finished runs of an arm."""
        known = [(row, number(row.get(metric))) for row in self.rows[arm] if row["status"] == "done"]
        found = [(row, value) for row, value in known if value is not None]
        levels = [self._levels([row]) for row, _ in found]
        return Runs([value for _, value in found], _columns(levels), [(row["cell"],) for row, _ in found])

    def pairs(self, arm: ArmName, base: ArmName, metric: str) -> Runs:
        """The differences of the pairs of runs that agree on the seeds which both arms depend on. A run of an arm
        without a generator is paired with every generator seed of the other arm."""
        left, right = self.both(arm, base, metric)
        return Runs([a - b for a, b in zip(left, right.values, strict=True)], right.levels, right.cells)

    def both(self, arm: ArmName, base: ArmName, metric: str) -> tuple[list[float], Runs]:
        """The values of the first run of these pairs, and those of the second with the levels and cells of the
        pairs."""
        firsts: list[float] = []
        seconds: list[float] = []
        levels = []
        cells: list[tuple[str, ...]] = []
        for row, other in self._partners(arm, base):
            one, two = number(row.get(metric)), number(other.get(metric))
            if row["status"] == other["status"] == "done" and one is not None and two is not None:
                firsts.append(one)
                seconds.append(two)
                levels.append(self._levels([row, other]))
                cells.append((row["cell"], other["cell"]))
        return firsts, Runs(seconds, _columns(levels), cells)

    def _partners(self, arm: ArmName, base: ArmName) -> Iterator[tuple[Row, Row]]:
        left, right = self.rows[arm], self.rows[base]
        shared = [
            axis for axis in AXES if all(number(row.get(AXES[axis])) is not None for row in (*left, *right))
        ]
        partners: dict[tuple[int, ...], list[Row]] = {}
        for row in right:
            partners.setdefault(self._key(row, shared), []).append(row)
        for row in left:
            for other in partners.get(self._key(row, shared), ()):
                yield row, other

    def estimate(self, arm: ArmName, runs: Runs, *, primary: bool) -> Estimate | None:
        """The estimate of the mean of runs, or of pairs of runs, of an arm; None with too few of them, or if it has no
        variance. primary: whether the uncertainty from the test images is included."""
        return self.estimate_with(arm, runs, self.deviations(arm, runs) if primary else [])

    def estimate_with(
        self, arm: ArmName, runs: Runs, deviations: Sequence[Deviations | None]
    ) -> Estimate | None:
        """The same with these deviations, one per run; if one is None, the test images are not taken to vary."""
        if runs.few():
            return None
        known = [] if any(each is None for each in deviations) else deviations
        splits = runs.levels["split"]
        if len(set(splits)) > 1:
            return over_splits(runs.values, splits, self._ratio(arm[0]), known)
        return estimate(runs.values, {a: at for a, at in runs.levels.items() if a != "split"}, known)

    def deviations(self, arm: ArmName, runs: Runs) -> list[Deviations | None]:
        """How each run, or each difference of a pair, varies with the test images; None where it is not known."""
        return [self._deviations(cells, arm[2]) for cells in runs.cells]

    def _deviations(self, cells: tuple[str, ...], test_set: str) -> Deviations | None:
        if self.sampled is None:
            return None
        found = [self.sampled(cell, test_set) for cell in cells]
        if any(each is None for each in found):
            return None
        if len(found) == 1:
            return found[0]
        first, second = found
        assert first is not None and second is not None
        return first.minus(second) if first.images == second.images else None

    def _ratio(self, dataset: str) -> float:
        """Test images / training images of a split, of the whole training part."""
        if dataset not in self._ratios:
            self._ratios[dataset] = self._counted_ratio(dataset)
        return self._ratios[dataset]

    def _counted_ratio(self, dataset: str) -> float:
        rows = [row for row in self._all if row["dataset"] == dataset]
        fractions = ((number(row.get("n_train_real")), number(row["train_fraction"]) or 1.0) for row in rows)
        train = max((n / fraction for n, fraction in fractions if n), default=0.0)
        own = [n for row in rows if row["test_set"] == "test" and (n := number(row.get("n_test")))]
        tested = own or [n for row in rows if (n := number(row.get("n_test")))]
        return sum(tested) / len(tested) / train if tested and train else 1.0

    def _levels(self, rows: Sequence[Row]) -> dict[str, int]:
        """The levels of a run, or of a pair of runs, on the axes of seeds. An axis that neither depends on is
        missing."""
        found: dict[str, int] = {}
        for axis in AXES:
            for row in rows:
                if (level := self._level(row, axis)) is not None:
                    found.setdefault(axis, level)
        found.setdefault("split", 0)
        if self.crossed:
            return found
        return {"split": found["split"], "seed": found.get("classifier", found.get("generator", 0))}

    def _level(self, row: Row, axis: str) -> int | None:
        value = number(row.get(AXES[axis]))
        shift = 0 if axis == "split" else self.offsets.get(row["strategy"], 0)
        return None if value is None else int(value) - shift

    def _key(self, row: Row, axes: Sequence[str]) -> tuple[int, ...]:
        return tuple(level for axis in axes if (level := self._level(row, axis)) is not None)


def _columns(levels: Sequence[Mapping[str, int]]) -> dict[str, list[int]]:
    names = list(dict.fromkeys(name for level in levels for name in level))
    return {name: [level.get(name, 0) for level in levels] for name in names}


def number(value: Any) -> float | None:
    """Return a value as a finite float, or None if it is missing, NaN, infinite or text."""
    if value is None or value == "":
        return None
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if math.isfinite(result) else None
