"""Stages `analyse`: pictures, drawn once and kept: sample grids of a fit, figures of a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from derm_bench.report.data import ReportData
from derm_bench.report.figures import make_figures
from derm_bench.report.samples import Row, label_grid, row_sheet
from derm_bench.rundir.sheet_index import SheetIndex
from derm_bench.stages.context import StageContext

ROWS, COLUMNS = 4, 8


def grids(context: StageContext) -> dict[str, Any]:
    """Writes a sheet of the last samples of each class, one over training where the fit kept snapshots, and
    index.json, which says which is which."""
    drawn: dict[str, dict[str, np.ndarray]] = {}
    for name, folder in context.inputs.items():
        label, _, step = name.rpartition("/")
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        drawn.setdefault(label, {})[step] = np.array(images[: ROWS * COLUMNS])
    sheets = SheetIndex(context.out)
    for label, steps in drawn.items():
        title = f"class {label}"
        subtitle = f"synthetic, {context.params['title']}"
        label_grid(steps["last"], title, subtitle, sheets.add(label, "last"), columns=COLUMNS)
        if len(steps) > 1:
            order = sorted(steps, key=lambda step: (step == "last", int(step) if step.isdigit() else 0))
            shown = {"last": "last"}
            rows = [Row(steps[step][:COLUMNS], shown.get(step, f"{step} updates")) for step in order]
            row_sheet(rows, title, subtitle, sheets.add(label, "snapshots"))
    sheets.write()
    return {"classes": sorted(drawn)}


def figures(context: StageContext) -> dict[str, Any]:
    """Draws all figures of a run directory from its tables, with figures.json."""
    drawn = make_figures(ReportData.load(Path(context.local["folder"])), context.out)
    return {"figures": len(drawn)}
