"""Stage `figures`: all figures of a run, from the outputs of its stages."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.report.data import ReportData
from derm_bench.report.figures import make_figures
from derm_bench.rundir.directory import RunFiles
from derm_bench.rundir.manifest import metric_directions
from derm_bench.rundir.predictions import write_predictions
from derm_bench.rundir.tables import build_tables, read_compared
from derm_bench.stages.tables import EndedRecords, run_stages

if TYPE_CHECKING:
    from derm_bench.stages.context import StageContext


def figures(context: StageContext) -> dict[str, Any]:
    """Draws every figure that the run has numbers for, with figures.json."""
    stages, records = run_stages(context), EndedRecords(context.optional)
    tables = build_tables(stages, records, read_compared(context.inputs["statistics"]))
    classes = dict.fromkeys(name for split in stages.splits for name in split.classes)
    specs = [
        replace(context.plugins.get("metric", use["name"]), name=use["label"])
        for use in stages.matrix["metrics"]
    ]
    logged = {
        curve.at.name: names
        for curve in stages.curves
        if (names := records.result(curve.key).get("discriminator_outputs"))
    }
    manifest = {"matrix": stages.matrix, "metrics": metric_directions(tables, classes, specs)}
    manifest |= {"discriminator_outputs": logged}
    with tempfile.TemporaryDirectory() as folder:
        predictions = Path(folder) / "predictions.parquet"
        write_predictions(stages, records, predictions)
        data = ReportData(RunFiles(context.out, manifest, tables, predictions, []))
        drawn = make_figures(data, context.out)
    return {"figures": len(drawn)}
