"""Stage `statistics`: compares the arms of a run by the scores of all cells, including failed cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derm_bench.rundir.tables import SUMMARY_FILE, fidelity_table, results_table, summary_table
from derm_bench.stages.tables import EndedRecords, run_stages

if TYPE_CHECKING:
    from derm_bench.stages.context import StageContext


def statistics(context: StageContext) -> dict[str, Any]:
    """Writes the rows of summary.csv, as a Parquet file."""
    stages, records = run_stages(context), EndedRecords(context.optional)
    summary = summary_table(stages, results_table(stages, records), fidelity_table(stages, records))
    summary.to_parquet(context.out / SUMMARY_FILE, index=False)
    return {"rows": len(summary)}
