"""Plans what is made of a whole run: statistics and figures. They run after everything else, whatever became of it."""

from __future__ import annotations

import hashlib
from typing import Any

from derm_bench.plan import params as p
from derm_bench.plan.book import Entry, StageBook
from derm_bench.plan.keys import canonical
from derm_bench.rundir.planned import RunStages

# What statistics and figures depend on of a matrix, by section: all of it, or these fields of each entry.
USED_OF_MATRIX = ("name", "analysis", "budget", "compare", "protocol")
USED_OF_ENTRIES = {"datasets": ("label", "size"), "strategies": ("name", "seed_offset"), "metrics": ("name",)}


def add_analysis(book: StageBook) -> None:
    """Enters the stages of statistics and figures. The stages whose outcome they read are optional inputs, each named
    by its key."""
    plan = book.plan
    stages = RunStages.of(plan)
    read = {key: key for key in stages.table_stages()}
    rows = _keep(plan.data, _document(stages))
    words = {"matrix": plan.matrix.name}
    summary = book.enter("statistics", p.Tables(rows=rows), Entry(optional=read, words=words))
    metrics = [("metric", use.name) for use in plan.matrix.metrics]
    drawn = Entry(inputs={"statistics": summary}, optional=read, plugins=metrics, words=words)
    plan.analysis = {"statistics": summary, "figures": book.enter("figures", p.Tables(rows=rows), drawn)}


def _document(stages: RunStages) -> dict[str, Any]:
    """The rows as the stages read them, without what no table and no figure is made of."""
    matrix: dict[str, Any] = {name: stages.matrix[name] for name in USED_OF_MATRIX}
    for section, fields in USED_OF_ENTRIES.items():
        matrix[section] = [{field: entry[field] for field in fields} for entry in stages.matrix[section]]
    used = RunStages(stages.matrix, stages.cells, stages.scores, [], stages.curves, stages.splits)
    return used.dump() | {"matrix": matrix}


def _keep(data: dict[str, bytes], document: Any) -> str:
    content = canonical(document).encode()
    digest = hashlib.sha256(content).hexdigest()
    data[digest] = content
    return digest
