"""Builds a board: verifies its entries, and writes leaderboard.csv, README.md, index.html and croissant.json."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from derm_bench.leaderboard import croissant
from derm_bench.leaderboard.page import page
from derm_bench.leaderboard.problems import Verified
from derm_bench.leaderboard.ranking import BoardRow, board_rows, costs_of, fidelity_of
from derm_bench.leaderboard.task import Board, BoardTask, read_board
from derm_bench.leaderboard.verify import verified
from derm_bench.leaderboard.words import (
    baseline_of,
    delta_of,
    license_line,
    mean_of,
    rank_of,
    runs_of,
    tests_of,
)
from derm_bench.report.tables import markdown_escape, markdown_table
from derm_bench.rundir.files import write_json, write_text
from derm_bench.rundir.frames import make_frame, write_csv
from derm_bench.rundir.schema import Column, Table
from derm_bench.scoring import metric_names

PAGES = ("leaderboard.csv", "README.md", "index.html", croissant.FILE)
SHOWN = 50
"""The most rows in README.md."""
SELF_REPORTED = "self_reported_"
"""The prefix of columns of leaderboard.csv that only the entry states."""

LEADERBOARD = Table(
    "leaderboard.csv",
    "One row per entry, strategy and classifier, the best first.",
    (
        Column("rank_low", "integer", "", "Best rank that the row may have; missing if it is not ranked."),
        Column("rank_high", "integer", "", "Worst rank that the row may have."),
        Column("rank_groups", "text", "", "Letters; rows that share one cannot be told apart."),
        Column("entry", "text", "", "Id of the entry."),
        Column("by", "text", "", "Who made the entry, as it says itself."),
        Column("strategy", "text", "", "Name of the strategy."),
        Column("generator", "text", "", "Label of the strategy's generator; empty if it has none."),
        Column("classifier", "text", "", "Label of the classifier."),
        Column(
            "status", "text", "", "`complete`, `incomplete` (some runs or splits are missing) or `failed`."
        ),
        Column("n_runs", "integer", "runs", "Finished runs, which the means are taken over."),
        Column("n_planned", "integer", "runs", "Planned runs."),
        Column("metric", "text", "", "The primary metric of the board."),
        Column("mean", "real", "", "Mean of the primary metric over the finished runs."),
        Column("ci_low", "real", "", "Lower end of its interval; missing with fewer than three runs."),
        Column("ci_high", "real", "", "Upper end of its interval."),
        Column("baseline", "text", "", "The row that this one is compared with; empty without a comparison."),
        Column("delta", "real", "", "Mean paired difference to the baseline."),
        Column("delta_ci_low", "real", "", "Lower end of its interval."),
        Column("delta_ci_high", "real", "", "Upper end of its interval."),
        Column(
            "p_holm", "real", "", "p value of the difference, corrected for all comparisons of the board."
        ),
        Column("verdict", "text", "", "`helps`, `hurts`, `equivalent` or `inconclusive`."),
    ),
    (
        Column("<metric>", "real", "", "Mean of a metric that was computed from the predictions."),
        Column("self_reported_<name>", "real", "", "Mean of a value that only the entry states."),
    ),
)


def build(folder: Path) -> Verified:
    """Verify a board and write its pages. Nothing is written if an entry has a problem; the result has it.

    Raises UserError if `folder` is no board, or if a page cannot be written.
    """
    board = read_board(folder)
    found, entries = verified(board)
    if found.problems:
        return found
    rows = board_rows(board, entries)
    csv_rows = [_csv_row(row, board.task) for row in rows]
    named = list(dict.fromkeys(name for row in csv_rows for name in row if name.startswith(SELF_REPORTED)))
    more = [*metric_names(board.task.classes), *sorted(named)]
    table = make_frame(csv_rows, LEADERBOARD, more)
    write_csv(table, folder / PAGES[0])
    write_text(readme(board, rows), folder / PAGES[1])
    write_text(page(board, rows, found), folder / PAGES[2])
    columns = [_column(name) for name in table.columns]
    write_json(croissant.metadata(board, found, columns, PAGES[0]), folder / PAGES[3])
    return found


def _column(name: str) -> Column:
    """A column of leaderboard.csv: one that every board has, or one that its metrics give."""
    known = {column.name: column for column in LEADERBOARD.columns}
    if name in known:
        return known[name]
    computed, stated = LEADERBOARD.more
    return replace(stated if name.startswith(SELF_REPORTED) else computed, name=name)


def _csv_row(row: BoardRow, task: BoardTask) -> dict[str, Any]:
    low, high = row.interval if row.interval is not None else (None, None)
    rank = row.rank
    stated = costs_of(row) | fidelity_of(row)
    return {
        **(
            {} if rank is None else {"rank_low": rank.low, "rank_high": rank.high, "rank_groups": rank.groups}
        ),
        "entry": row.entry,
        "by": row.rescored.entry.manifest.by,
        "strategy": row.strategy,
        "generator": row.generator,
        "classifier": row.classifier,
        "status": row.status,
        "n_runs": row.done,
        "n_planned": len(row.runs),
        "metric": task.metric,
        "mean": row.scores.get(task.metric),
        "ci_low": low,
        "ci_high": high,
        **{
            name: row.compared.get(name)
            for name in ("baseline", "delta", "delta_ci_low", "delta_ci_high", "p_holm", "verdict")
        },
        **{name: value for name, value in row.scores.items() if not math.isnan(value)},
        **{f"{SELF_REPORTED}{name}": value for name, value in stated.items()},
    }


def readme(board: Board, rows: Sequence[BoardRow]) -> str:
    """Return README.md of a board: the task, and its best rows."""
    return "\n".join(_readme(board, rows))


def _readme(board: Board, rows: Sequence[BoardRow]) -> Iterator[str]:
    task = board.task
    yield f"# {markdown_escape(task.name)}\n"
    yield "Built by `derm-bench leaderboard build`; edit nothing here by hand.\n"
    aside = ", without those that board.yaml sets aside" if board.set_aside else ""
    facts = [
        ("Data", f"{task.dataset.name}, {task.dataset.size} px; {license_line(task)}"),
        ("Classes", ", ".join(task.classes)),
        ("Test images", f"{tests_of(board)} (split.csv{aside})"),
        ("Protocol", f"{task.protocol}, version {task.protocol_version}"),
        ("Primary metric", task.metric + ("" if task.higher_is_better else " (lower is better)")),
        ("Baseline", f"{task.baseline}, under the same classifier"),
    ]
    yield "".join(f"- **{name}**: {markdown_escape(value)}\n" for name, value in facts)
    header = [
        "rank",
        "strategy",
        "generator",
        "classifier",
        task.metric,
        "runs",
        "Δ to baseline",
        "verdict",
        "entry",
    ]
    cells = [
        [
            rank_of(row),
            row.strategy,
            row.generator,
            row.classifier,
            mean_of(row, task.metric),
            runs_of(row),
            delta_of(row),
            row.compared.get("verdict") or "",
            row.entry,
        ]
        for row in rows[:SHOWN]
    ]
    yield markdown_table(header, cells)
    if len(rows) > SHOWN:
        yield f"The first {SHOWN} of {len(rows)} rows; leaderboard.csv has all.\n"
    yield markdown_escape(_NOTE.format(baseline=baseline_of(task))) + "\n"
    yield "`index.html` shows each row with its classes, confusion matrix, samples, costs and the run that made it.\n"


_NOTE = (
    "Scores are computed from the predictions of the entries on the test images of split.csv. Rank: all ranks that a "
    "row may have, and letters; rows that share one cannot be told apart. Rows with missing runs have no rank. The "
    "difference is to {baseline}, paired by run, with its interval."
)
