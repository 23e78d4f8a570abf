"""The plan of a run directory, as its manifest keeps it: enough to rebuild all tables from the store's records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derm_bench.errors import UserError
from derm_bench.machine import Machine
from derm_bench.matrix.model import Cell, Matrix
from derm_bench.plan.model import Plan, PlannedCell, PlannedFidelity, PlannedFit, PlannedRequired
from derm_bench.runner.execute import Outcome
from derm_bench.runner.rows import Results
from derm_bench.splits import read_split
from derm_bench.store import Store


def dump(results: Results) -> dict[str, Any]:
    """The plan's cells, fits and table rows with their stage keys, and how each stage stands."""
    plan = results.plan
    return {
        "store": str(results.store.root),
        "cells": [_plain(planned) for planned in plan.cells],
        "fidelity": [_plain(row) for row in plan.fidelity],
        "fits": [_plain(fit) for fit in plan.fits],
        "required": [_plain(required) for required in plan.required],
        "pictures": plan.pictures,
        "sheets": plan.sheets,
        "decodes": plan.decodes,
        "splits": [
            {"dataset": label, "seed": seed, "digest": split.digest, "classes": split.classes}
            for (label, seed), split in plan.splits.items()
        ],
        "stages": {
            key: {"status": outcome.status, "error": outcome.error}
            for key, outcome in results.outcomes.items()
            if outcome.status != "done"
        },
    }


def load(manifest: Mapping[str, Any], run_dir: Path, store: Path | None) -> Results:
    """The reverse. Raises UserError where the manifest is no manifest or the store is gone."""
    try:
        saved = manifest["plan"]
        matrix = Matrix.model_validate(manifest["matrix"] | {"file": run_dir / manifest["matrix"]["file"]})
        machine = manifest["machine"]
        plan = Plan(matrix, Machine(machine["device"], (), machine["precision"], machine["threads"]))
        plan.cells = [PlannedCell(**entry | {"cell": _cell(entry["cell"])}) for entry in saved["cells"]]
        plan.fidelity = [PlannedFidelity(**entry) for entry in saved["fidelity"]]
        plan.fits = [PlannedFit(**entry) for entry in saved["fits"]]
        plan.required = [PlannedRequired(**entry) for entry in saved["required"]]
        plan.pictures, plan.sheets = saved["pictures"], saved["sheets"]
        plan.decodes = saved["decodes"]
        opened = Store(store or Path(saved["store"]))
        for entry in saved["splits"]:
            content = opened.data(entry["digest"]).read_bytes()
            plan.splits[entry["dataset"], entry["seed"]] = read_split(content, entry["classes"])
        outcomes = {key: Outcome(entry["status"], entry["error"]) for key, entry in saved["stages"].items()}
    except FileNotFoundError as error:
        raise UserError(
            f"the store of {run_dir} is not at {Path(error.filename).parent.parent}",
            hint="say where it is now with --store",
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{run_dir / 'manifest.json'} is no manifest of this version: {error}") from error
    return Results(plan, outcomes, opened)


def _plain(value: Any) -> dict[str, Any]:
    """A dataclass as a dict, one level deep, with cells as dicts too."""
    entry = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if "cell" in entry:
        cell = entry["cell"]
        entry["cell"] = cell.model_dump() if hasattr(cell, "model_dump") else dataclasses.asdict(cell)
    return entry


def _cell(entry: Mapping[str, Any]) -> Cell:
    return Cell(**entry)
