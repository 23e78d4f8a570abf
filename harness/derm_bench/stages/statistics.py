"""Stage `statistics`: compares the arms of a run by the scores and predictions of all cells, failed cells included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derm_bench.rundir.cell_predictions import StoredPredictions
from derm_bench.rundir.tables import (
    COMPARED_FILES,
    compared_tables,
    composition_table,
    fidelity_table,
    results_table,
)
from derm_bench.stages.tables import EndedRecords, run_stages

if TYPE_CHECKING:
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
    )
    for name, file in COMPARED_FILES.items():
        tables[name].to_parquet(context.out / file, index=False)
    return {"rows": len(tables["summary"])}
