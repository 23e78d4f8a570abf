"""`derm-bench plan`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from derm_bench.cli.common import Request, plan_request, selection_options
from derm_bench.runner.execute import Execution
from derm_bench.runner.forecast import detectable_difference, seconds_of, stored_megabytes
from derm_bench.runner.run import targets


@click.command()
@selection_options
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.pass_obj
def plan(flags: dict[str, bool], /, matrix: Path, as_json: bool, **options: Any) -> int:
    """Show what `run` with the same options would do; nothing is executed."""
    request = plan_request(flags, matrix, **options)
    summary = describe(request)
    if as_json:
        click.echo(json.dumps(summary, indent=1))
    else:
        _print(request, summary)
    return 0


def describe(request: Request) -> dict[str, Any]:
    """The plan as JSON: stages to run and cached by kind, cells with what each still needs, forecasts."""
    planned, store = request.plan, request.store
    execution = Execution(planned, store)
    todo = execution.needed(targets(planned))
    missing = set(todo)
    stages = [
        {
            "key": stage.key,
            "kind": stage.kind,
            "title": stage.title,
            "cached": stage.key not in missing,
            "inputs": dict(stage.inputs),
        }
        for stage in planned.stages.values()
        if stage.key in missing or store.has(stage.key)
    ]
    return {
        "matrix": planned.matrix.name,
        "store": str(store.root),
        "device": planned.machine.device,
        "to_run": dict(Counter(planned.stages[key].kind for key in todo)),
        "cached": dict(Counter(s["kind"] for s in stages if s["cached"])),
        "estimated_seconds": seconds_of(planned, todo),
        "estimated_megabytes": stored_megabytes(planned, todo),
        "detectable_difference": detectable_difference(planned),
        "splits": {f"{label}/{seed}": split.digest for (label, seed), split in planned.splits.items()},
        "cells": [_cell(request, cell, missing) for cell in planned.cells],
        "stages": stages,
    }


def _cell(request: Request, cell: Any, missing: set[str]) -> dict[str, Any]:
    wanted = [cell.train, *cell.evaluations.values()]
    upstream = dict.fromkeys(k for key in wanted for k in (*request.plan.upstream(key), key))
    needs = [request.plan.stages[key].title for key in upstream if key in missing]
    return {"cell": cell.cell.name, "cached": not needs, "to_run": needs, "synthetic": dict(cell.quota)}


def _print(request: Request, summary: dict[str, Any]) -> None:
    console = Console()
    table = Table(title=f"{summary['matrix']}: {len(summary['cells'])} cells", title_justify="left")
    for name in ("stage", "to run", "cached"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for kind in ("decode", "fit", "sample", "fidelity", "train", "evaluate", "analyse"):
        counts = [summary[side].get(kind, 0) for side in ("to_run", "cached")]
        if any(counts):
            table.add_row(kind, *map(str, counts))
    console.print(table)
    for cell in summary["cells"]:
        state = "cached" if cell["cached"] else f"{len(cell['to_run'])} stages to run"
        console.print(f"  {cell['cell']}: {state}", markup=False, highlight=False)
    for (label, seed), split in request.plan.splits.items():
        console.print(f"{label}, split seed {seed}: {_counts(split)}", markup=False, highlight=False)
    console.print(
        f"estimated: {summary['estimated_seconds']:.0f} s on one worker, {summary['estimated_megabytes']:.0f} MB"
    )
    difference = summary["detectable_difference"]
    if difference is not None:
        console.print(
            f"smallest difference in accuracy that seeds and test size can detect: about {difference:.3f}"
        )
    console.print(f"store: {summary['store']}", markup=False, highlight=False)


def _counts(split: Any) -> str:
    parts = ("train", "val", "test", "reserve")
    found = [(part, split.counts(part)) for part in parts]
    return "; ".join(
        f"{part} " + " ".join(f"{k} {v}" for k, v in sorted(c.items())) for part, c in found if c
    )
