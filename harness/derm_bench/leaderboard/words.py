"""The cells of a board as text, for README.md and the page."""

from __future__ import annotations

import math

from derm_bench.leaderboard.ranking import BoardRow
from derm_bench.leaderboard.task import Board, BoardTask
from derm_bench.report.tables import difference, done_of_planned


def mean_of(row: BoardRow, metric: str, digits: int = 3) -> str:
    """The mean with its interval, `0.712 [0.678, 0.746]`; with two runs, their values in round brackets."""
    mean = row.scores.get(metric, math.nan)
    if math.isnan(mean):
        return "–"
    shown = f"{mean:.{digits}f}"
    if row.interval is not None:
        return f"{shown} [{row.interval[0]:.{digits}f}, {row.interval[1]:.{digits}f}]"
    if len(row.values) == 2:
        return f"{shown} ({', '.join(f'{value:.{digits}f}' for value in row.values)})"
    return shown


def delta_of(row: BoardRow) -> str:
    """The difference to the baseline with its interval, `+0.021 [-0.004, +0.046]`; empty without a comparison."""
    return difference(row.compared) if row.compared else ""


def rank_of(row: BoardRow) -> str:
    """The ranks that a row may have, with its groups, `1–3 a b`; empty if it is not ranked."""
    if row.rank is None:
        return ""
    low, high, groups = row.rank
    return f"{low if low == high else f'{low}–{high}'} {groups}".strip()


def runs_of(row: BoardRow) -> str:
    """`3` if every planned run is done, otherwise `2 of 3`."""
    return done_of_planned(row.runs)


def baseline_of(task: BoardTask) -> str:
    """The baseline in a sentence."""
    return f"{task.baseline} under the same classifier"


def tests_of(board: Board) -> str:
    """The number of test images of each split; `377 of 400` if some are set aside."""
    found = []
    for seed, split in board.splits.items():
        scored, listed = board.tested(seed), len(split.indices("test"))
        found.append(f"{scored:,}" if scored == listed else f"{scored:,} of {listed:,}")
    return ", ".join(found)


def license_line(task: BoardTask) -> str:
    """The licence of the data in words."""
    return f"licence: {task.dataset.licence or 'none stated'}"
