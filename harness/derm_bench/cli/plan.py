"""`derm-bench plan`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from derm_bench.cli.common import Request, plan_request, selection_options
from derm_bench.executors.base import default_workers
from derm_bench.forecast.costs import Costs
from derm_bench.forecast.detectable import Outlook, outlooks
from derm_bench.forecast.forecast import forecast, wall_seconds
from derm_bench.forecast.past import Past, finished_stages
from derm_bench.forecast.probe import Probes, probe, unknown
from derm_bench.forecast.speed import slowdown
from derm_bench.plan.alike import CostClass
from derm_bench.plan.kinds import WORDS, kind_of
from derm_bench.plan.model import Plan, Stage
from derm_bench.protocols import Note
from derm_bench.rundir.planned import MOST_NAMES
from derm_bench.runner.execute import Execution, error_of
from derm_bench.runner.external_programs import as_line, programs_of, refuse_programs
from derm_bench.runner.progress import count, failed_before
from derm_bench.terminal import PlainConsole, say

Prober = Callable[[Request, Mapping[CostClass, str]], Probes]


@click.command()
@selection_options
@click.option("--dag", is_flag=True, help="Print every stage with its inputs.")
@click.option(
    "--probe",
    "probing",
    is_flag=True,
    help="Measure stages without a record by running a small version of each in a temporary folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_obj
def plan(
    flags: dict[str, bool], /, matrix: Path, as_json: bool, dag: bool, probing: bool, **options: Any
) -> int:
    """Show what `run` with the same options would do. Nothing is executed, except small stages with --probe."""
    prober = _prober(flags, quiet=as_json) if probing else None
    _show(plan_request(flags, matrix, **options), prober, as_json=as_json, dag=dag)
    return 0


def _show(request: Request, prober: Prober | None, *, as_json: bool, dag: bool) -> None:
    summary = plan_summary(request, prober)
    if as_json:
        click.echo(_as_json(summary))
    elif dag:
        say("\n".join(_dag(summary)))
    else:
        _print(request, summary)


def _prober(flags: dict[str, bool], *, quiet: bool) -> Prober:
    def tell(line: str) -> None:
        if not quiet:
            say(line, err=True)

    def run(request: Request, chosen: Mapping[CostClass, str]) -> Probes:
        return probe(request.plan, chosen, request.plugins, builtins_only=flags["no_plugins"], say=tell)

    return run


def plan_summary(request: Request, prober: Prober | None = None) -> dict[str, Any]:
    """The plan as JSON: stages to run and cached stages by kind, forecasts, and the missing stages of each cell.
    `prober`, if given, measures stages without a record."""
    planned, store = request.plan, request.store
    limits = {"timeout": planned.matrix.limits.timeout, "memory": planned.matrix.limits.memory}
    execution = Execution(planned, store, limits=limits)
    missing = execution.needed([*planned.targets(), *planned.analysis.values()])
    failures = execution.mark_known_failures(missing)
    ended = {key: execution.outcomes[key].status for key in missing if key in execution.outcomes}
    todo = execution.without_made([key for key in missing if key not in ended])
    wanted = set(todo)
    programs = programs_of(planned, todo, request.plugins)
    if prober:
        refuse_programs(programs, "`run --allow-commands`; --probe never runs them, so plan without it")
    costs = Costs(request.plugins, slowdown())
    past = Past(finished_stages(store, costs=costs))
    probes = prober(request, unknown(planned, todo, past)) if prober else Probes()
    kinds = forecast(planned, todo, past, probes.found, costs)
    workers = default_workers(planned.machine)
    detectable = outlooks(planned, store)
    stages = [
        {
            "key": stage.key,
            "kind": kind_of(stage).word,
            "title": stage.title,
            "cached": stage.key not in wanted and stage.key not in ended,
            "state": "to run" if stage.key in wanted else ended.get(stage.key, "cached"),
            "inputs": dict(stage.inputs),
        }
        for stage in planned.stages.values()
        if stage.key in wanted or stage.key in execution.outcomes or store.has(stage.key)
    ]
    return {
        "matrix": planned.matrix.name,
        "store": str(store.root),
        "run_dir": str(request.run_dir),
        "device": planned.machine.device,
        "to_run": dict(Counter(kind_of(planned.stages[key]).word for key in todo)),
        "cached": dict(Counter(s["kind"] for s in stages if s["cached"])),
        "failed_before": list(map(_failure, failures)),
        "tried_again": list(map(_failure, execution.raised)),
        "estimated_seconds": sum(one.seconds for one in kinds.values()),
        "estimated_wall_seconds": wall_seconds(kinds.values(), workers),
        "workers": workers,
        "estimated_megabytes": sum(one.megabytes for one in kinds.values()),
        "estimated_peak_mb": max((one.peak_mb for one in kinds.values() if one.peak_mb), default=None),
        "estimates": {kind: asdict(one) | {"source": one.source} for kind, one in kinds.items()},
        "probe_failures": [failure._asdict() for failure in probes.failures],
        "detectable_difference": _smallest(detectable),
        "detectable": [asdict(outlook) for outlook in detectable],
        "commands": [{"stage": program.stage, "argv": program.argv} for program in programs],
        "warnings": [*planned.warnings, *_of_the_machine(planned)],
        "notes": {label: [_note(note) for note in notes] for label, notes in planned.notes.items()},
        "splits": {f"{label}/{seed}": split.digest for (label, seed), split in planned.splits.items()},
        "cells": [_cell(request, cell, wanted, ended) for cell in planned.cells],
        "stages": stages,
    }


def _note(note: Note) -> dict[str, Any]:
    """A note of a data set, with its first names, as the manifest has it."""
    return {"text": note.text, "count": len(note.names), "names": list(note.names[:MOST_NAMES])}


def _of_the_machine(planned: Plan) -> list[str]:
    """What the plan does not know of the machine yet."""
    if not planned.machine.unmeasured:
        return []
    return [
        f"precision: auto has not been measured on this {planned.machine.device}; this is the plan for "
        f"{planned.machine.precision}, and `run` measures for some seconds first"
    ]


def _failure(failed: tuple[Stage, Mapping[str, Any]]) -> dict[str, str]:
    """A stage that failed in an earlier run, and how."""
    stage, last = failed
    return {"key": stage.key, "stage": stage.title, "status": last["status"], "error": error_of(last)}


def _cell(request: Request, cell: Any, missing: set[str], ended: Mapping[str, str]) -> dict[str, Any]:
    """The missing stages of a cell; `failed_before` if it gets no result because of a stage that failed earlier."""
    needs: dict[str, str] = {}
    targets = (cell.train, *cell.evaluations.values())
    for key in targets:
        if key in missing and key not in needs:
            _list_missing(request.plan.stages, key, missing, needs)
    to_run = list(needs.values())
    failed = any(key in ended for key in targets)
    found = {"cell": cell.cell.name, "cached": not needs and not failed, "failed_before": failed}
    return found | {"to_run": to_run, "synthetic": dict(cell.quota)}


def _list_missing(stages: Mapping[str, Stage], key: str, missing: set[str], needs: dict[str, str]) -> None:
    """Adds the titles of the missing stages below a missing stage, then its own, to `needs`, by their keys."""
    stage = stages[key]
    for other in (*stage.inputs.values(), *stage.after):
        if other in missing and other not in needs:
            _list_missing(stages, other, missing, needs)
    needs[key] = stage.title


def _as_json(summary: dict[str, Any]) -> str:
    """JSON with one line per entry, which is quick to write and to read for thousands of cells."""

    def text(value: Any) -> str:
        if not isinstance(value, list):
            return json.dumps(value)
        return "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]" if value else "[]"

    return (
        "{\n" + ",\n".join(f" {json.dumps(name)}: {text(value)}" for name, value in summary.items()) + "\n}"
    )


def _dag(summary: dict[str, Any]) -> Iterator[str]:
    """One line per stage, after its inputs: key, state, title and inputs."""
    for stage in summary["stages"]:
        made_from = " ".join(f"{name}={key[:12]}" for name, key in sorted(stage["inputs"].items()))
        yield f"{stage['key'][:12]}  {stage['state']}  {stage['title']}" + (
            f"  <- {made_from}" if made_from else ""
        )


def _print(request: Request, summary: dict[str, Any]) -> None:
    console = PlainConsole()
    table = Table(title=f"{summary['matrix']}: {len(summary['cells'])} cells", title_justify="left")
    for name in ("stage", "to run", "cached", "time", "peak MB", "from"):
        table.add_column(name, justify="left" if name in ("stage", "from") else "right")
    for kind in WORDS:
        counts = [summary[side].get(kind, 0) for side in ("to_run", "cached")]
        if any(counts):
            table.add_row(kind, *map(str, counts), *_row(summary["estimates"].get(kind)))
    console.print(table)
    for failure in summary["probe_failures"]:
        say(f"  '{failure['stage']}' could not be probed: {failure['status']}: {failure['error']}")
    for cell in summary["cells"]:
        state = "cached" if cell["cached"] else f"{len(cell['to_run'])} stages to run"
        state = "failed before, so it is not run" if cell["failed_before"] else state
        say(f"  {cell['cell']}: {state}")
    if summary["tried_again"]:
        again = count(len(summary["tried_again"]), "stage")
        say(f"{again} failed in an earlier run at a limit that is raised now, and will be tried again")
    if summary["failed_before"]:
        say(failed_before((one["stage"], one["status"], one["error"]) for one in summary["failed_before"]))
    external = set(request.plan.tests.values())
    folded = {entry.label for entry in request.matrix.datasets if entry.split.method == "kfold"}
    for (label, seed), split in request.plan.splits.items():
        which = f", {'fold' if label in folded else 'split seed'} {seed}" if label not in external else ""
        console.print(f"{label}{which}: {_counts(split)}", markup=False, highlight=False)
    console.print(
        f"estimated: {_time(summary['estimated_wall_seconds'])} with {summary['workers']} workers"
        f" ({_time(summary['estimated_seconds'])} of work), {summary['estimated_megabytes']:.0f} MB of disk",
        highlight=False,
    )
    for outlook in summary["detectable"]:
        say(_detected(Outlook(**outlook)))
    console.print(f"store: {summary['store']}", markup=False, highlight=False)
    console.print(f"run directory: {summary['run_dir']}", markup=False, highlight=False)
    if summary["commands"]:
        say("external programs that `run --allow-commands` would run:")
        for program in summary["commands"]:
            say(f"  {program['stage']}: {as_line(program['argv'])}")
    for label, notes in request.plan.notes.items():
        for note in notes:
            say(f"{label}: {note.sentence()}")
    for warning in summary["warnings"]:
        say(f"warning: {warning}")


def _smallest(found: Sequence[Outlook]) -> float | None:
    """The smallest difference that is detected on every data set; None if there will be no verdict on one of them."""
    differences = [outlook.difference for outlook in found]
    known = [difference for difference in differences if difference is not None]
    return max(known) if known and len(known) == len(differences) else None


def _detected(found: Outlook) -> str:
    """A sentence about the smallest difference that the comparisons of a data set can detect."""
    if found.difference is None:
        return f"{found.dataset}: no difference can be detected ({found.why}); every verdict will be `inconclusive`"
    family = count(found.comparisons, "comparison")
    return (
        f"{found.dataset}: smallest difference in balanced accuracy that {count(found.seeds, 'seed')} and the test "
        f"images detect with 80% power in a family of {family}: about {found.difference:.3f} ({found.basis})"
    )


def _row(one: dict[str, Any] | None) -> tuple[str, str, str]:
    """The columns of a forecast: time, peak memory, and what they are based on."""
    if one is None:
        return "", "", ""
    return _time(one["seconds"]), f"{one['peak_mb']:.0f}" if one["peak_mb"] else "", one["source"]


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _counts(split: Any) -> str:
    parts = ("train", "val", "test", "reserve")
    found = [(part, split.counts(part)) for part in parts]
    return "; ".join(
        f"{part} " + " ".join(f"{name} {c[name]}" for name in split.classes if name in c)
        for part, c in found
        if c
    )
