"""`derm-bench reproduce`."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from derm_bench.cli.run import run
from derm_bench.leaderboard.published import read_published
from derm_bench.leaderboard.reproduced import Beside, beside, find_matrix, read_arms
from derm_bench.report.data import ReportData
from derm_bench.rundir.selection import Selection
from derm_bench.terminal import PlainConsole, say


@click.pass_context
def _reproduce(context: click.Context, /, paper: str, protocol: str, **options: Any) -> int:
    """Run the matrix of PAPER, and print the values that the paper published beside those that were measured.

    PAPER is the name of a matrix in benchmarks/papers, or the number of the paper. `--protocol paper` does it as it was
    done, leaks included; `fair` under the rules of derm-bench. Both are presets of the matrix, and those of `--preset`
    are applied after them, for example phantom and smoke. Data sets of your own are given by `--set`.
    """
    matrix = find_matrix(paper)
    arms = read_arms(matrix.stem)
    presets = (protocol, *options["presets"])
    selection = Selection(presets, tuple(options["sets"]), tuple(options["only"]))
    out = options["out"] or Path("runs") / selection.folder(matrix.stem)
    as_json = options["as_json"]
    quiet = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    with quiet:
        given = options | {"matrix": matrix, "presets": presets, "out": out, "as_json": False}
        code: int = context.invoke(run, **given)
    rows = beside(arms, read_published(arms.paper), ReportData.load(out).summary)
    if as_json:
        shown = {
            "paper": arms.paper,
            "protocol": protocol,
            "out": str(out),
            "values": [_plain(row) for row in rows],
        }
        click.echo(json.dumps(shown, allow_nan=False))
    else:
        PlainConsole().print(_table(rows, f"Paper {arms.paper} under the protocol '{protocol}'"))
        _notes(rows)
    return code


_TAKEN = ("matrix",)
reproduce = click.Command(
    "reproduce",
    callback=_reproduce,
    help=_reproduce.__doc__,
    params=[
        click.Argument(["paper"]),
        click.Option(
            ["--protocol"],
            type=click.Choice(["paper", "fair"]),
            default="paper",
            show_default=True,
            help="As the paper did it, or under the rules of derm-bench.",
        ),
        *(parameter for parameter in run.params if parameter.name not in _TAKEN),
    ],
)


def _table(rows: Sequence[Beside], title: str) -> Table:
    """One row per value. A method is named at its first value; where it has several values of one metric, the source
    tells them apart."""
    table = Table(title=Text(title))
    several = Counter(_metric(row) for row in rows)
    for name in ("method", "metric"):
        table.add_column(name, overflow="fold")
    table.add_column("published", justify="right", no_wrap=True)
    table.add_column("flag", no_wrap=True)
    table.add_column("measured", justify="right")
    table.add_column("differs", no_wrap=True)
    named = None
    for row in rows:
        value = row.published
        metric = " ".join(filter(None, _metric(row)[1:]))
        if named not in (None, value.method):
            table.add_section()
        table.add_row(
            "" if value.method == named else value.method,
            f"{metric}, {value.source}" if several[_metric(row)] > 1 else metric,
            value.in_words(),
            value.status,
            _measured(row),
            Text(row.differs, style="bold" if row.differs == "yes" else ""),
        )
        named = value.method
    return table


def _metric(row: Beside) -> tuple[str, str, str]:
    """What a value is of: the method, the metric, and the class in brackets, or an empty text."""
    value = row.published
    return value.method, value.metric, f"({value.class_name})" if value.class_name else ""


def _measured(row: Beside) -> str:
    """The measured mean with its interval, in the unit of the published value; `, 2 of 3` if some runs are missing."""
    if row.mean is None or math.isnan(row.mean):
        return "–"
    factor, digits, sign = (100, 2, "%") if row.published.unit == "percent" else (1, 4, "")
    shown = f"{row.mean * factor:.{digits}f}{sign}"
    if row.low is not None and row.high is not None:
        shown += f" [{row.low * factor:.{digits}f}, {row.high * factor:.{digits}f}]"
    return f"{shown}, {row.runs}" if " of " in row.runs else shown


def _notes(rows: Sequence[Beside]) -> None:
    """Prints what to know of published values that are not simply claimed."""
    say("differs: whether the published value, with its rounding, is outside of our interval.")
    flagged = [row.published for row in rows if row.published.status != "claimed" and row.published.note]
    for value in dict.fromkeys(flagged):
        say(
            f"- {value.method}, {value.metric} {value.in_words()} ({value.status}, {value.source}): {value.note}"
        )


def _plain(row: Beside) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.as_json().items()
    }
