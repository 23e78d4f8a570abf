"""Stages `analyse`: pictures, drawn once and kept: sample grids of a fit, figures of a run directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from derm_bench.report.data import ReportData
from derm_bench.report.figures import make_figures
from derm_bench.report.samples import Row, file_name, label_grid, row_sheet
from derm_bench.stages.context import StageContext

ROWS, COLUMNS = 4, 8


def grids(context: StageContext) -> dict[str, Any]:
    """Writes `<class>__last.png`, and `<class>__snapshots.png` where the fit kept snapshots."""
    drawn: dict[str, dict[str, np.ndarray]] = {}
    for name, folder in context.inputs.items():
        label, _, step = name.rpartition("/")
        images = np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False)
        drawn.setdefault(label, {})[step] = np.array(images[: ROWS * COLUMNS])
    for label, steps in drawn.items():
        title, name = f"class {label}", file_name(label)
        subtitle = f"synthetic, {context.params['title']}"
        label_grid(steps["last"], title, subtitle, context.out / f"{name}__last.png", columns=COLUMNS)
        if len(steps) > 1:
            order = sorted(steps, key=lambda step: (step == "last", int(step) if step.isdigit() else 0))
            shown = {"last": "last"}
            rows = [Row(steps[step][:COLUMNS], shown.get(step, f"{step} updates")) for step in order]
            row_sheet(rows, title, subtitle, context.out / f"{name}__snapshots.png")
    return {"classes": sorted(drawn)}


def figures(context: StageContext) -> dict[str, Any]:
    """Draws all figures of a run directory from its tables, with figures.json."""
    drawn = make_figures(ReportData.load(Path(context.local["folder"])), context.out)
    return {"figures": len(drawn)}
