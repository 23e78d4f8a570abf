"""The rows of a board: one per entry, strategy and classifier, with means, intervals, verdicts and ranks.

Only scores that were computed from predictions count. Rows are compared in pairs of runs with the same seeds on the
same test images, as the run directory compares its arms; rows that are not complete are shown, and neither compared
nor ranked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from derm_bench.leaderboard.problems import finite
from derm_bench.leaderboard.rescore import TEST, Rescored
from derm_bench.leaderboard.task import Board
from derm_bench.rundir.arms import ArmName, Arms
from derm_bench.rundir.comparison import MOST_RANKED, Analysis, compare_all, rank_all
from derm_bench.rundir.frames import Row, text
from derm_bench.rundir.sampled import deviations_of
from derm_bench.scoring import confusion, metric_names
from derm_bench.stats.ranks import Rank
from derm_bench.stats.test_images import Deviations

COMPLETE, INCOMPLETE, FAILED = "complete", "incomplete", "failed"
COSTS = (
    *("n_train_real", "n_train_synthetic", "updates", "generator_seconds", "generator_seconds_shared"),
    *("train_seconds", "eval_seconds", "peak_memory_mb", "peak_device_mb"),
)


@dataclass
class BoardRow:
    """One row of a board.

    runs: the rows of results.csv, finished or not. scores: the mean of each metric over the finished runs, from
    predictions. values: the primary metric of each of them. confusion: counts [actual][predicted], summed over the
    finished runs. compared: the columns of the comparison with the baseline, and `baseline`, the row it is compared
    with. costs and fidelity are means of what the entry states itself.
    """

    rescored: Rescored
    strategy: str
    generator: str
    classifier: str
    runs: Sequence[Row]
    status: str
    scores: Mapping[str, float] = field(default_factory=dict)
    values: Sequence[float] = ()
    confusion: Sequence[Sequence[int]] = ()
    interval: tuple[float, float] | None = None
    compared: dict[str, Any] = field(default_factory=dict)
    rank: Rank | None = None

    @property
    def entry(self) -> str:
        """The id of the entry."""
        return self.rescored.entry.id

    @property
    def done(self) -> int:
        """The number of finished runs."""
        return sum(row["status"] == "done" for row in self.runs)

    @property
    def name(self) -> str:
        """The row in messages and as a baseline: `entry/strategy/classifier`."""
        return f"{self.entry}/{self.strategy}/{self.classifier}"


def board_rows(board: Board, entries: Sequence[Rescored]) -> list[BoardRow]:
    """Return the rows of a board, the best first: ranked rows, then complete rows without a rank, then incomplete ones,
    then failed ones; within each by the mean of the primary metric."""
    rows = [row for entry in entries for row in _rows_of(board, entry)]
    arms = _Combined(board, entries, rows)
    arms.judge()
    return sorted(rows, key=lambda row: _order(row, board))


def _order(row: BoardRow, board: Board) -> tuple[Any, ...]:
    mean = row.scores.get(board.task.metric, math.nan)
    sign = -1 if board.task.higher_is_better else 1
    place = [COMPLETE, INCOMPLETE, FAILED].index(row.status)
    return place, row.rank is None, math.isnan(mean), sign * mean if not math.isnan(mean) else 0.0, row.name


def _rows_of(board: Board, rescored: Rescored) -> list[BoardRow]:
    runs: dict[tuple[str, str], list[Row]] = {}
    for row in rescored.entry.results:
        runs.setdefault((row["strategy"], row["classifier"]), []).append(row)
    return [_row(board, rescored, own) for own in runs.values()]


def _row(board: Board, rescored: Rescored, runs: Sequence[Row]) -> BoardRow:
    done = [row for row in runs if row["status"] == "done"]
    covered = {row["split_seed"] for row in done} == set(board.splits)
    status = FAILED if not done else COMPLETE if len(done) == len(runs) and covered else INCOMPLETE
    first = runs[0]
    found = BoardRow(
        rescored, first["strategy"], first["generator"], first["classifier"], runs=runs, status=status
    )
    if done:
        own = [rescored.scores[row["cell"]] for row in done]
        names = metric_names(board.task.classes)
        found.scores = {name: _mean([scores[name] for scores in own]) for name in names}
        found.values = [scores[board.task.metric] for scores in own]
        found.confusion = _confusion(rescored, done, len(board.task.classes))
    return found


def _confusion(rescored: Rescored, done: Sequence[Row], k: int) -> list[list[int]]:
    total = [[0] * k for _ in range(k)]
    for row in done:
        p = rescored.predictions[row["cell"]].predictions
        counts = confusion(p.labels, p.proba.argmax(1), k).tolist()
        total = [[a + int(b) for a, b in zip(x, y, strict=True)] for x, y in zip(total, counts, strict=True)]
    return total


class _Combined:
    """The rows of all entries as the arms of one comparison. A strategy is called `entry/strategy` in it, and a cell
    `entry/cell`."""

    def __init__(self, board: Board, entries: Sequence[Rescored], rows: Sequence[BoardRow]) -> None:
        self._task = board.task
        self._by_name = {self._arm(row): row for row in rows}
        self._entries = {entry.entry.id: entry for entry in entries}
        self._deviations: dict[str, Deviations | None] = {}
        self._analysis = Analysis(
            board.task.metric,
            board.task.margin,
            board.task.alpha,
            board.task.higher_is_better,
            board.task.classes,
        )

    def _arm(self, row: BoardRow) -> ArmName:
        fraction = text(self._task.train_fraction)
        return self._task.name, fraction, TEST, f"{row.entry}/{row.strategy}", row.classifier

    def judge(self) -> None:
        """Fill in the intervals, the comparisons with the baseline and the ranks of the complete rows."""
        complete = {name: row for name, row in self._by_name.items() if row.status == COMPLETE}
        arms = self._arms(complete)
        for name, row in complete.items():
            runs = arms.of_arm(name, self._task.metric)
            found = arms.estimate(name, runs, primary=True)
            if found is not None:
                row.interval = found.interval(self._task.alpha, *self._analysis.range_of(self._task.metric))
        versus = {name: self._baseline(row, complete) for name, row in complete.items()}
        for (name, label), columns in compare_all(arms, versus, self._analysis).items():
            complete[name].compared = {"baseline": label, **columns}
        best = sorted(complete, key=lambda name: self._best_first(complete[name]))[:MOST_RANKED]
        for name, rank in rank_all(
            self._arms({name: complete[name] for name in best}), self._analysis
        ).items():
            complete[name].rank = rank

    def _best_first(self, row: BoardRow) -> float:
        mean = row.scores[self._task.metric]
        if math.isnan(mean):
            return math.inf
        return -mean if self._task.higher_is_better else mean

    def _baseline(self, row: BoardRow, complete: Mapping[ArmName, BoardRow]) -> list[tuple[str, ArmName]]:
        """The row that a row is compared with: the baseline under the same classifier, of the same entry if it has one,
        else of the first entry that has it."""
        if row.strategy == self._task.baseline:
            return []
        others = [
            (other.entry != row.entry, other.entry, name)
            for name, other in complete.items()
            if other.strategy == self._task.baseline and other.classifier == row.classifier
        ]
        return [(complete[min(others)[2]].name, min(others)[2])] if others else []

    def _arms(self, rows: Mapping[ArmName, BoardRow]) -> Arms:
        offsets = {
            f"{entry.entry.id}/{strategy}": offset
            for entry in self._entries.values()
            for strategy, offset in entry.entry.manifest.seed_offsets.items()
        }
        results = [
            {
                **run,
                **row.rescored.scores[run["cell"]],
                "dataset": name[0],
                "strategy": name[3],
                "cell": f"{row.entry}/{run['cell']}",
            }
            for name, row in rows.items()
            for run in row.runs
        ]
        return Arms.of(results, offsets, self._sampled)

    def _sampled(self, cell: str, test_set: str) -> Deviations | None:
        if cell not in self._deviations:
            entry, _, name = cell.partition("/")
            found = self._entries[entry].predictions[name]
            self._deviations[cell] = deviations_of(found, self._task.metric)
        return self._deviations[cell]


def costs_of(row: BoardRow) -> dict[str, float]:
    """The mean time, memory and number of images of the finished runs, as the entry states them."""
    found = {name: [value for run in row.runs if (value := finite(run[name])) is not None] for name in COSTS}
    return {name: _mean(values) for name, values in found.items() if values}


def fidelity_of(row: BoardRow) -> dict[str, float]:
    """The image metrics of the row's generator at the end of its fits, as the entry states them: the mean over classes
    and seeds."""
    found: dict[str, list[float]] = {}
    for one in row.rescored.entry.fidelity:
        value = finite(one["value"])
        if one["strategy"] == row.strategy and one["step"] in ("", "last") and value is not None:
            found.setdefault(str(one["metric"]), []).append(value)
    return {name: _mean(values) for name, values in found.items()}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
