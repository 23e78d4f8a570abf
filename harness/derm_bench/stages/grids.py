"""Stage `grids`: sample grids of a fit, at its end and for its snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from derm_bench.images import load_images
from derm_bench.report.samples import Row, label_grid, row_sheet
from derm_bench.rundir.sheet_index import SheetIndex
from derm_bench.stage_names import FITTED_ON, SAMPLE

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

ROWS, COLUMNS = 4, 8


def grids(context: StageContext) -> dict[str, Any]:
    """Writes one sheet per class with samples at the end of the fit, a second one over training if the fit has
    snapshots, one with the samples that a network was fitted on if there are any, and index.json, which describes the
    sheets."""
    params: p.Grids = context.params
    drawn: dict[str, dict[str, np.ndarray]] = {}
    for name, folder in context.inputs.items():
        step, _, label = name.removeprefix(SAMPLE).partition("/")
        images = load_images(folder / "images.npy", slice(ROWS * COLUMNS))
        drawn.setdefault(label, {})[step] = images.numpy()
    sheets = SheetIndex(context.out)
    for label, steps in drawn.items():
        title = f"class {label}"
        subtitle = f"synthetic, {params.title}"
        source = steps.pop(FITTED_ON, None)
        if source is not None:
            words = f"synthetic, what a network of {params.title} was fitted on"
            label_grid(source, title, words, sheets.add(label, FITTED_ON), columns=COLUMNS)
        if "last" in steps:
            label_grid(steps["last"], title, subtitle, sheets.add(label, "last"), columns=COLUMNS)
        if len(steps) > 1:
            order = sorted(steps, key=lambda step: (step == "last", int(step) if step.isdigit() else 0))
            shown = {"last": "last"}
            rows = [Row(steps[step][:COLUMNS], shown.get(step, f"{step} updates")) for step in order]
            row_sheet(rows, title, subtitle, sheets.add(label, "snapshots"))
    sheets.write()
    return {"classes": sorted(drawn)}
