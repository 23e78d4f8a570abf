"""Runs a planned matrix: executes stages, writes the run directory, figures and report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from derm_bench.errors import UserError
from derm_bench.executors.base import Executor, ExecutorSettings, default_workers
from derm_bench.interrupts import held_back
from derm_bench.lazy import load_object
from derm_bench.matrix.model import ExecutorUse
from derm_bench.plan.model import Plan
from derm_bench.plugins import Plugins
from derm_bench.plugins.culprit import blaming
from derm_bench.report.data import ReportData
from derm_bench.report.html import write_report
from derm_bench.report.keep_in_mind import keep_in_mind
from derm_bench.report.terminal import summarise_for_terminal
from derm_bench.rundir.directory import RunFiles, Writing, write_run
from derm_bench.rundir.frames import to_rows
from derm_bench.rundir.manifest import seal
from derm_bench.rundir.planned import RunStages
from derm_bench.rundir.prepare import prepare_out
from derm_bench.rundir.tables import read_compared
from derm_bench.runner.eta import Eta
from derm_bench.runner.execute import Execution, Outcome
from derm_bench.runner.external_programs import programs_of, refuse_programs
from derm_bench.runner.failures import failed_stages
from derm_bench.runner.lifecycle import Lifecycle, lifecycle
from derm_bench.runner.progress import BarProgress, PlainProgress, ProgressWithHooks
from derm_bench.runner.provenance import provenance_of
from derm_bench.runner.shareable import Shareable
from derm_bench.runner.store_records import StoreRecords
from derm_bench.store import Store
from derm_bench.terminal import PlainConsole

INTERRUPTED = "The run was interrupted before all stages had ended; the same command goes on."
"""The warning in the manifest and in the report of an interrupted run."""


@dataclass(frozen=True)
class RunOptions:
    """The options of a run from the command line. `selection` is the name of what `--preset`, `--set` and `--only`
    select, which the run directory keeps. `forecast` returns the seconds of stages by key, for the time left beside the
    progress bar."""

    out: Path
    executor: ExecutorUse
    settings: ExecutorSettings
    max_failures: int | None = None
    retry_failed: bool = False
    command: tuple[str, ...] = ()
    quiet: bool = False
    trackers: tuple[str, ...] = ()
    allow_commands: bool = False
    debug: bool = False
    selection: str = ""
    forecast: Callable[[Sequence[str]], Mapping[str, float]] | None = None


@dataclass(frozen=True)
class Done:
    """The result of a run. `unscored` counts fits of generators, and scores of their samples, that are not done;
    `unfinished` counts all stages that are not done, and `failures` says which failed and why. `scores` are the rows of
    summary.csv; `remarks` is what the report lists under "Keep in mind" besides the failures. `left_out` names the
    finished rows of the former tables that are not planned any more, and so not in the new ones."""

    out: Path
    rows: list[dict[str, Any]]
    table: Any
    stages_run: int
    interrupted: bool
    seconds: float = field(default=0.0)
    unscored: int = 0
    unfinished: int = 0
    failures: tuple[str, ...] = ()
    scores: tuple[dict[str, Any], ...] = ()
    remarks: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def execute_request(plan: Plan, store: Store, plugins: Plugins, options: RunOptions) -> Done:
    """Runs the missing stages and writes the run directory, even if stages fail. Raises UserError, before anything
    runs, if a stage would run an external program without `--allow-commands`."""
    if not options.allow_commands:
        refuse_programs(programs_of(plan, Execution(plan, store).needed(plan.targets()), plugins))
    with lifecycle(plugins, options.trackers) as hooks:
        return _execute(plan, store, plugins, options, hooks)


def _execute(plan: Plan, store: Store, plugins: Plugins, options: RunOptions, hooks: Lifecycle) -> Done:
    began = time.monotonic()
    executor = make_executor(plugins, options)
    store.prepare()
    store.recover()
    left_out = prepare_out(options.out, plan.matrix.name, options.selection, lambda: RunStages.of(plan))
    for content in plan.data.values():
        store.put(content)
    limits = {"timeout": options.settings.timeout, "memory": options.settings.memory}
    execution = Execution(plan, store, options.retry_failed, options.max_failures, limits)
    hooks.run_start(plan.matrix.name, options.out, len(plan.stages))
    try:
        execution.run(executor, plan.targets(), ProgressWithHooks(_progress(options, execution), hooks))
        ran = sum(outcome.ran_now for outcome in execution.outcomes.values())
        analysed = analyse(execution, executor, hooks)
        with held_back():  # a signal that comes now must not leave new tables beside an old report
            files, told = _write(plan, execution, plugins, options, analysed)
    finally:
        executor.stop()
    rows = to_rows(files.tables["results"])
    statuses = dict(Counter(row["status"] for row in rows))
    hooks.run_finish(plan.matrix.name, options.out, statuses)
    data = ReportData(files)
    table = summarise_for_terminal(data)
    made = [*(fit.key for fit in plan.fits), *(row.key for row in plan.fidelity)]
    unscored = sum(execution.outcomes[key].status != "done" for key in made if key in execution.outcomes)
    return Done(
        options.out,
        rows,
        table,
        ran,
        execution.interrupted,
        time.monotonic() - began,
        unscored,
        sum(outcome.status != "done" for outcome in execution.outcomes.values()),
        tuple(failed_stages(_statuses(execution, execution.outcomes), RunStages.of(plan).in_results())),
        tuple(dict(row) for row in to_rows(files.tables["summary"])),
        tuple(line for line in keep_in_mind(data) if line not in told),
        tuple(left_out),
    )


def analyse(execution: Execution, executor: Executor, hooks: Lifecycle) -> dict[str, Path]:
    """Runs the statistics and figures of a plan whose other stages have ended. Returns the folders of those that are
    done, by kind. They run although other stages failed, and every run tries them again."""
    if execution.interrupted:
        return {}
    execution.retry_failed, execution.max_failures = True, None
    execution.run(
        executor, execution.plan.analysis.values(), ProgressWithHooks(PlainProgress(quiet=True), hooks)
    )
    found = {}
    for kind, key in execution.plan.analysis.items():
        finished = execution.store.finished(execution.actual_keys.get(key, key))
        if finished is not None and execution.outcome(key).status == "done":
            found[kind] = finished.folder
    return found


def _write(
    plan: Plan, execution: Execution, plugins: Plugins, options: RunOptions, analysed: Mapping[str, Path]
) -> tuple[RunFiles, Sequence[str]]:
    """Writes the whole run directory, also after an interruption: then without figures, and with a summary that is
    computed here. Paths of this machine are left out, as it is shared. Also returns the sentences about failures and
    interruption that it contains."""
    shareable = Shareable(plan)
    outcomes = shareable.outcomes(execution.outcomes)
    records, stages = StoreRecords(outcomes, execution.store), shareable.stages(RunStages.of(plan))
    statuses = _statuses(execution, outcomes)
    writing = Writing(
        provenance=provenance_of(plan, shareable.words(options.command), options.selection),
        statuses=statuses,
        failures=[
            *([INTERRUPTED] if execution.interrupted else []),
            *failed_stages(statuses, stages.in_results()),
        ],
        splits={split.digest: split.csv for split in plan.splits.values()},
        metrics=[replace(plugins.get("metric", use.name), name=use.label) for use in plan.matrix.metrics],
        compared=read_compared(analysed["statistics"]) if "statistics" in analysed else None,
    )
    files = write_run(options.out, stages, records, writing)
    write_report(options.out, analysed.get("figures"), ReportData(files))
    seal(options.out)
    return files, writing.failures


def _statuses(execution: Execution, outcomes: Mapping[str, Outcome]) -> dict[str, dict[str, str]]:
    """Status, error and title of the stages that are not done, as the manifest keeps them."""
    stages = execution.plan.stages
    found = StoreRecords(outcomes, execution.store).statuses()
    return {key: entry | {"title": stages[key].title} for key, entry in found.items()}


def _progress(options: RunOptions, execution: Execution) -> PlainProgress | BarProgress:
    console, where = PlainConsole(stderr=True), execution.store.record_file
    if options.quiet or not console.is_terminal:
        return PlainProgress(quiet=options.quiet, where=where, debug=options.debug)
    return BarProgress(console, where, _eta(options, execution), options.debug)


def _eta(options: RunOptions, execution: Execution) -> Eta | None:
    """The time left of the stages that an execution is about to run, if there is a forecast of them."""
    if options.forecast is None:
        return None
    ahead = replace(execution, outcomes={}, actual_keys={}, raised=[])
    todo = ahead.needed(execution.plan.targets())
    ahead.mark_known_failures(todo)
    seconds = options.forecast([key for key in todo if key not in ahead.outcomes])
    return Eta(seconds, options.settings.workers or default_workers(options.settings.machine))


def make_executor(plugins: Plugins, options: RunOptions) -> Executor:
    """Creates the executor. This is done before anything is written, so that an option that it refuses has no effect.
    An executor starts no worker before it gets a stage."""
    spec = plugins.get("executor", options.executor.name)
    with blaming(spec, plugins, "create(options, settings)"):
        made: Executor | None = load_object(spec.create)(options.executor.options, options.settings)
    if made is None:
        raise UserError(f"`create` of the executor '{spec.name}' returned None")
    return made
