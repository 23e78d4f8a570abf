"""`derm-bench run`."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from derm_bench.cli.common import Request, plan_request, selection_options
from derm_bench.cli.signals import how_to_end
from derm_bench.executors.base import ExecutorSettings
from derm_bench.forecast.costs import Costs
from derm_bench.forecast.forecast import seconds_of_stages
from derm_bench.forecast.past import Past, finished_stages
from derm_bench.forecast.speed import slowdown
from derm_bench.rundir.directory import NAMES
from derm_bench.runner.run import Done, RunOptions, execute_request
from derm_bench.terminal import GOES_ON, PlainConsole, say


@click.command()
@selection_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Run directory. Default: runs/<matrix name>, with --preset, --set or --only runs/<matrix name>@<selection>.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    default=None,
    help="Worker processes. Default: cores // threads; with GPUs, at most 4 per GPU.",
)
@click.option(
    "--max-failures",
    type=click.IntRange(1),
    default=None,
    help="Stop starting stages after this many failures.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=None,
    help="Time limit per stage in seconds.",
)
@click.option(
    "--memory", type=click.IntRange(1), default=None, help="Limit of resident memory per stage in MB."
)
@click.option("--retry-failed", is_flag=True, help="Run stages again that failed in an earlier run.")
@click.option(
    "--allow-commands", is_flag=True, help="Allow generators to run the external programs that `plan` lists."
)
@click.option(
    "--tracker",
    "trackers",
    multiple=True,
    metavar="NAME[=PLACE]",
    help="Log to a tracker too: tensorboard[=DIR], mlflow[=DIR or URI], or that of a plugin (repeatable).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def run(flags: dict[str, bool], /, matrix: Path, **options: Any) -> int:
    """Plan MATRIX, execute what is missing, write the run directory and print the table.

    Exits with 0 if every stage of the selected cells is done, also those of scores, pictures, statistics and figures;
    1 if some failed, 2 if the input is wrong, 130 if interrupted.
    """
    request = plan_request(
        flags,
        matrix,
        presets=options["presets"],
        sets=options["sets"],
        only=options["only"],
        device=options["device"],
        store=options["store"],
        executor=options["executor"],
        executor_options=options["executor_options"],
        plugin_files=options["plugin_files"],
        measure=True,
    )
    limits = request.matrix.limits
    settings = ExecutorSettings(
        store=request.store.root,
        machine=request.plan.machine,
        workers=options["workers"],
        timeout=options["timeout"] or limits.timeout,
        memory=options["memory"] or limits.memory,
        builtins_only=flags["no_plugins"],
        plugin_files=request.plugins.files,
    )
    if sentence := how_to_end():
        say(sentence, err=True)
    done = execute_request(
        request.plan,
        request.store,
        request.plugins,
        RunOptions(
            out=options["out"] or request.run_dir,
            executor=request.matrix.executor,
            settings=settings,
            max_failures=options["max_failures"] or limits.max_failures,
            retry_failed=options["retry_failed"],
            command=tuple(sys.argv[1:]),
            quiet=options["as_json"],
            trackers=options["trackers"],
            allow_commands=options["allow_commands"],
            debug=flags["debug"],
            selection=request.selection.name,
            forecast=partial(_forecast, request),
        ),
    )
    statuses = Counter(row["status"] for row in done.rows)
    if options["as_json"]:
        click.echo(json.dumps(_as_json(done, statuses), allow_nan=False))
    else:
        _print(done, statuses)
    if done.interrupted:
        say(GOES_ON, err=True)
        return 130
    return 0 if set(statuses) <= {"done"} and not done.unfinished and not done.unscored else 1


def _forecast(request: Request, keys: Sequence[str]) -> Mapping[str, float]:
    """The seconds of stages by key, from the stages in the store."""
    costs = Costs(request.plugins, slowdown())
    return seconds_of_stages(request.plan, keys, Past(finished_stages(request.store, costs=costs)), costs)


def _print(done: Done, statuses: Mapping[str, int]) -> None:
    """Prints the table of a run, what to keep in mind, what failed, and counts with the path of the report."""
    PlainConsole().print(done.table)
    if done.remarks:
        say("Keep in mind:\n" + "\n".join(f"- {remark}" for remark in done.remarks))
    for failure in done.failures:
        say(f"warning: {failure}", err=True)
    if done.left_out:
        say(_left_out(done.left_out), err=True)
    counted = ", ".join(f"{n} {status}" for status, n in sorted(statuses.items()))
    counted = counted or f"no cells, {done.unscored} fits or scores of generators not done"
    say(f"{counted}; {done.stages_run} stages run; {done.out / 'report.html'}")


def _left_out(rows: Sequence[str]) -> str:
    """A sentence about finished rows that the matrix has no more."""
    many = len(rows) > 1
    return (
        f"{len(rows)} finished {'rows' if many else 'row'} of the former tables {'are' if many else 'is'} not in the "
        f"new ones, because the matrix does not have {'them' if many else 'it'} any more, for example {rows[0]}; the "
        "results stay in the store"
    )


def _as_json(done: Done, statuses: Mapping[str, int]) -> dict[str, Any]:
    """The result of a run: counts, the rows of summary.csv as `scores`, the rows of results.csv that are not done, the
    finished rows of the former tables that are not planned any more, and the path of every file at the top of the run
    directory by name. Missing values are null."""
    unfinished = [
        {name: row[name] for name in ("cell", "test_set", "status", "error")}
        for row in done.rows
        if row["status"] != "done"
    ]
    return {
        "out": str(done.out),
        "cells": statuses,
        "stages_run": done.stages_run,
        "interrupted": done.interrupted,
        "failures": done.failures,
        "keep_in_mind": done.remarks,
        "not_done": unfinished,
        "left_out": done.left_out,
        "scores": [{name: _plain(value) for name, value in row.items()} for row in done.scores],
        "paths": {name: str(done.out / name) for name in NAMES if (done.out / name).is_file()},
    }


def _plain(value: Any) -> Any:
    """A value of a table as JSON has it: NaN and infinities are null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
