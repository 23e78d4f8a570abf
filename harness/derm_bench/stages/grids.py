"""Stage `grids`: sample grids of a fit, at its end and over its snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from derm_bench.images import load_images
from derm_bench.report.samples import Row, file_name, label_grid, row_sheet
from derm_bench.stage_names import SAMPLE

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

ROWS, COLUMNS = 4, 8


def grids(context: StageContext) -> dict[str, Any]:
    """Writes `<class>__last.png`, and `<class>__snapshots.png` where the fit kept snapshots."""
    params: p.Grids = context.params
    drawn: dict[str, dict[str, np.ndarray]] = {}
    for name, folder in context.inputs.items():
        step, _, label = name.removeprefix(SAMPLE).partition("/")
        images = load_images(folder / "images.npy", slice(ROWS * COLUMNS))
        drawn.setdefault(label, {})[step] = images.numpy()
    for label, steps in drawn.items():
        title, name = f"class {label}", file_name(label)
        subtitle = f"synthetic, {params.title}"
        label_grid(steps["last"], title, subtitle, context.out / f"{name}__last.png", columns=COLUMNS)
        if len(steps) > 1:
            order = sorted(steps, key=lambda step: (step == "last", int(step) if step.isdigit() else 0))
            shown = {"last": "last"}
            rows = [Row(steps[step][:COLUMNS], shown.get(step, f"{step} updates")) for step in order]
            row_sheet(rows, title, subtitle, context.out / f"{name}__snapshots.png")
    return {"classes": sorted(drawn)}
