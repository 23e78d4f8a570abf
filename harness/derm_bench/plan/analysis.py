"""Plans the statistics and figures of a run. They run after all other stages, including failed ones, have ended."""

from __future__ import annotations

import hashlib
from typing import Any

from derm_bench.plan import params as p
from derm_bench.plan.book import Entry, StageBook
from derm_bench.plan.keys import canonical
from derm_bench.plan.model import Plan
from derm_bench.plan.primary import PrimaryMetric, Selecting
from derm_bench.rundir.table_rows import rows_of, table_stages
from derm_bench.scoring.names import metric_names

# The parts of a matrix that statistics and figures depend on: whole sections, and for other sections some fields of
# each entry.
USED_OF_MATRIX = ("name", "analysis", "budget", "compare", "protocol")
USED_OF_ENTRIES = {
    "datasets": ("label", "size"),
    "strategies": ("name", "seed_offset", "augment", "balance"),
    "test_sets": ("name", "synthetic", "strategy"),
    "metrics": ("name", "label"),
}


def add_analysis(book: StageBook) -> None:
    """Enters the stages for statistics and figures. The stages whose outcome they read are optional inputs, each named
    by its key."""
    plan = book.plan
    content = canonical({"matrix": _used(plan), **rows_of(plan)}).encode()
    rows = hashlib.sha256(content).hexdigest()
    plan.data[rows] = content
    read = {key: key for key in table_stages(plan)}
    words = {"matrix": plan.matrix.name}
    primary = _of_plugin(book)
    compared = Entry(
        optional=read, words=words, plugins=list(primary.plugins), local={"primary": primary.local}
    )
    params = p.Tables(rows=rows, primary=primary.params or None)
    summary = book.enter("statistics", params, compared)
    metrics = [("metric", use.name) for use in plan.matrix.metrics]
    drawn = Entry(inputs={"statistics": summary}, optional=read, plugins=metrics, words=words)
    plan.analysis = {"statistics": summary, "figures": book.enter("figures", p.Tables(rows=rows), drawn)}


def _of_plugin(book: StageBook) -> Selecting:
    """The primary metric if a plugin computes it, which statistics compute again on other test images; empty if it is
    built in, or if the matrix trains nothing."""
    plan = book.plan
    classes = next((split.classes for split in plan.splits.values()), None)
    if classes is None or not plan.cells or plan.matrix.analysis.primary in metric_names(classes):
        return Selecting({})
    found = PrimaryMetric(plan.matrix, book).among(classes)
    return found if "metric" in found.params else Selecting({})


def _used(plan: Plan) -> dict[str, Any]:
    """The parts of the resolved matrix that tables and figures use."""
    matrix = plan.matrix.model_dump(mode="json", by_alias=True, include={*USED_OF_MATRIX, *USED_OF_ENTRIES})
    for section, fields in USED_OF_ENTRIES.items():
        matrix[section] = [{field: entry[field] for field in fields} for entry in matrix[section]]
    return matrix
