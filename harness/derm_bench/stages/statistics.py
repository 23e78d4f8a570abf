"""Stage `statistics`: compares the arms of a run by the scores and predictions of all cells, failed cells included."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from derm_bench.plain_text import recorded
from derm_bench.protocols import Task
from derm_bench.rundir.cell_predictions import StoredPredictions
from derm_bench.rundir.sampled import PluginPrimary
from derm_bench.rundir.tables import (
    COMPARED_FILES,
    compared_tables,
    composition_table,
    fidelity_table,
    results_table,
)
from derm_bench.stages.tables import EndedRecords, run_stages

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.rundir.planned import RunStages
    from derm_bench.stages.context import StageContext


def statistics(context: StageContext) -> dict[str, Any]:
    """Writes the rows of summary.csv, subgroups.csv and pairs.csv, as Parquet files."""
    stages, records = run_stages(context), EndedRecords(context.optional)
    tables = compared_tables(
        stages,
        results_table(stages, records),
        fidelity_table(stages, records),
        composition_table(stages, records),
        StoredPredictions(stages, records),
        _primary_of_plugin(context, stages),
    )
    for name, file in COMPARED_FILES.items():
        tables[name].to_parquet(context.out / file, index=False)
    return {"rows": len(tables["summary"])}


def _primary_of_plugin(context: StageContext, stages: RunStages) -> PluginPrimary | None:
    """The primary metric, if a plugin computes it."""
    params: p.Tables = context.params
    if params.primary is None:
        return None
    primary, local = params.primary, context.local.get("primary", {})
    sizes = {entry["label"]: int(entry["size"]) for entry in stages.matrix["datasets"]}
    size_of = {recorded(cell.name): sizes[cell.at.dataset] for cell in stages.cells}

    @functools.cache
    def made(classes: tuple[str, ...], size: int) -> Any:
        return context.metric(primary["metric"], local, Task(classes, size))

    return PluginPrimary(
        primary["name"], primary["higher_is_better"], lambda cell, classes: made(classes, size_of[cell])
    )
