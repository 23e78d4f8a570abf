"""The classification accuracy score of samples, and its reverse, as rows of summary.csv.

    cas            accuracy of a classifier that is trained on samples alone, over that of the same classifier trained
                   on as many real images of each class, both on real test images (Ravuri and Vinyals 2019)
    cas_recall_C   the same of the recall of class C
    reverse_cas    balanced accuracy, on samples, of a classifier that is trained on real images, over its balanced
                   accuracy on real test images (GAN-test of Shmelkov et al. 2018); the mean over classes, as samples
                   have other shares of the classes
    reverse_cas_recall_C   the same of the recall of class C

A ratio A / B of two means over pairs of runs has the interval of the mean of a / B - (A / B) b / B, its linear part:
the uncertainty of both sides, from seeds and from test images, as that of a difference (`derm_bench.stats.estimate`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from derm_bench.rundir.arms import COLUMNS, ArmName, Arms, Runs
from derm_bench.rundir.frames import Row, text
from derm_bench.rundir.schema import SUMMARY
from derm_bench.scoring.intervals import t_interval

if TYPE_CHECKING:
    from derm_bench.stats.test_images import Deviations

SampledBy = Callable[[str], Callable[[str, str], "Deviations | None"]]
"""By metric, the function of a cell and a test set that returns how the metric varies with the test images."""

CAS, REVERSE = "cas", "reverse_cas"
REAL_AGAIN = ("duplicate", "more-real")
"""Generators whose samples are real images as they are."""

NONE_EQUAL = (
    "no strategy with the same augment and balance trains on as many real images of each class; add one with "
    "generator: duplicate and the same `synthetic`"
)


def is_score(metric: str) -> bool:
    """Whether a metric of summary.csv is one of these scores."""
    return metric in (CAS, REVERSE) or metric.startswith((f"{CAS}_recall_", f"{REVERSE}_recall_"))


@dataclass(frozen=True)
class TrainingSets:
    """What the strategies of a matrix train on, from composition.csv."""

    rows: Sequence[Row]
    matrix: Mapping[str, Any]

    def samples_alone(self, arm: ArmName) -> bool:
        """Whether a strategy trains on samples and on no real image."""
        own = self._own(arm[:2], arm[3])
        return bool(own) and not any(row["real"] for row in own) and any(row["synthetic"] for row in own)

    def as_many_real(self, arm: ArmName) -> str | None:
        """The first strategy that trains on as many real images of each class, with the same augmentation and balance;
        one without a generator comes first."""
        entries = {entry["name"]: entry for entry in self.matrix["strategies"]}
        found = [
            name
            for name, entry in entries.items()
            if name != arm[3]
            and _handled(entry) == _handled(entries.get(arm[3], {}))
            and self._real(arm[:2], name)
            and self._counts(arm[:2], name) == self._counts(arm[:2], arm[3])
        ]
        return min(found, key=lambda name: bool(self._own(arm[:2], name)[0]["generator"]), default=None)

    def _real(self, at: tuple[str, str], strategy: str) -> bool:
        own = self._own(at, strategy)
        return bool(own) and all(not row["synthetic"] or row["generator"] in REAL_AGAIN for row in own)

    def _counts(self, at: tuple[str, str], strategy: str) -> dict[tuple[Any, str], float]:
        """The number of training images by split and class."""
        return {
            (row["split_seed"], row["class"]): row["real"] + row["synthetic"]
            for row in self._own(at, strategy)
        }

    def _own(self, at: tuple[str, str], strategy: str) -> list[Row]:
        return self._by_strategy.get((*at, strategy), [])

    @functools.cached_property
    def _by_strategy(self) -> dict[tuple[str, str, str], list[Row]]:
        found: dict[tuple[str, str, str], list[Row]] = {}
        for row in self.rows:
            if row["split"] == "train":
                place = (row["dataset"], text(row["train_fraction"]), row["strategy"])
                found.setdefault(place, []).append(row)
        return found


def sets_of_samples(matrix: Mapping[str, Any]) -> list[str]:
    """The test sets of a matrix that are the samples of one strategy: they score these, and no arm."""
    return [one["name"] for one in matrix.get("test_sets") or () if one.get("strategy")]


def _handled(entry: Mapping[str, Any]) -> tuple[Any, Any]:
    return entry.get("augment") or [], entry.get("balance")


def accuracy_score_rows(
    arms: Arms, trained: TrainingSets, sampled: SampledBy, classes: Sequence[str], alpha: float
) -> Iterator[dict[str, Any]]:
    """Yield the rows: `mean` is the ratio, `std` its standard deviation over runs to first order, `baseline` what it is
    relative to. A ratio that cannot be computed is missing, and `reason` says why."""
    of_samples = sets_of_samples(trained.matrix)
    made = {one["name"] for one in trained.matrix.get("test_sets") or () if one.get("synthetic")}
    for arm in arms.rows:
        if arm[2] in of_samples:
            base = (*arm[:2], "test", *arm[3:])
            for name, metric in _metrics(REVERSE, "balanced_accuracy", classes):
                yield _row(arms, arm, base, name, metric, sampled, alpha) | {"baseline": f"{arm[3]} on test"}
        elif arm[2] not in made and trained.samples_alone(arm):
            real = trained.as_many_real(arm)
            for name, metric in _metrics(CAS, "accuracy", classes):
                if real is None:
                    yield _blank(arms, arm, name) | {"baseline": "", "reason": NONE_EQUAL}
                else:
                    base = (*arm[:3], real, arm[4])
                    yield _row(arms, arm, base, name, metric, sampled, alpha) | {"baseline": real}


def _metrics(name: str, whole: str, classes: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, whole), *((f"{name}_recall_{label}", f"recall_{label}") for label in classes)]


def _blank(arms: Arms, arm: ArmName, name: str) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(SUMMARY.names)
    row |= dict(zip(COLUMNS, arm, strict=True))
    return row | {"metric": name, "n_seeds": 0, "n_planned": len(arms.rows[arm])}


def _row(
    arms: Arms, arm: ArmName, base: ArmName, name: str, metric: str, sampled: SampledBy, alpha: float
) -> dict[str, Any]:
    blank = _blank(arms, arm, name)
    unfinished = [one for one in (arm, base) if one not in arms.rows or not arms.whole(one)]
    if unfinished:
        return blank | {"reason": f"not all runs of {unfinished[0][3]} on {unfinished[0][2]} are done"}
    firsts, others = arms.both(arm, base, metric)
    if not firsts or not sum(others.values):
        why = f"{metric} is 0" if firsts else f"{metric} is not defined"
        return blank | {"reason": f"{why} in every run of {base[3]} on {base[2]}"}
    runs, ratio, mean = _linear(firsts, others)
    row = blank | {"n_seeds": len(runs), "mean": ratio, "std": t_interval(runs.values)[1]}
    if few := runs.few():
        return row | {"reason": f"{few} give{'s' if few.startswith('one') else ''} no interval"}
    moved = [_moved(cells, arm, base, ratio, mean, sampled(metric)) for cells in runs.cells]
    if any(each is None for each in moved):
        return row | {"reason": "what other test images would give is unknown: no interval"}
    found = arms.estimate_with(arm, runs, moved)
    if found is None:
        return row | {"reason": "the ratio has no variance: no interval"}
    low, high = found.interval(alpha, 0.0)
    return row | {"ci_low": low, "ci_high": high, "df": found.df}


def _linear(firsts: Sequence[float], others: Runs) -> tuple[Runs, float, float]:
    """The runs of a ratio of means to first order, the ratio, and the mean of the second side."""
    mean = sum(others.values) / len(others)
    ratio = sum(firsts) / len(firsts) / mean
    values = [ratio + (a - ratio * b) / mean for a, b in zip(firsts, others.values, strict=True)]
    return Runs(values, others.levels, others.cells), ratio, mean


def _moved(
    cells: tuple[str, ...],
    arm: ArmName,
    base: ArmName,
    ratio: float,
    mean: float,
    sampled: Callable[[str, str], Deviations | None],
) -> Deviations | None:
    """How the ratio of a pair of runs varies with the test images of both sides."""
    one, two = sampled(cells[0], arm[2]), sampled(cells[1], base[2])
    if one is None or two is None:
        return None
    one, two = one.times(1 / mean), two.times(ratio / mean)
    return one.minus(two) if one.images == two.images else one.beside(two.times(-1))
