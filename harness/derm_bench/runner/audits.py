"""Runs the audits of a plan, and what they read, without anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derm_bench.plan.model import Plan
from derm_bench.plugins import Plugins
from derm_bench.rundir.audits import add_audits, audits_of
from derm_bench.rundir.planned import RunStages
from derm_bench.runner.execute import Execution, Observer
from derm_bench.runner.failures import failed_stages
from derm_bench.runner.run import RunOptions, make_executor
from derm_bench.runner.store_records import StoreRecords
from derm_bench.store import Store


@dataclass(frozen=True)
class Audited:
    """The documents of the audits that are done, as in the folder audit/ of a run directory, and sentences about stages
    that failed, such as decoding with too many unreadable images."""

    audits: Sequence[Mapping[str, Any]]
    failures: Sequence[str]
    interrupted: bool


def run_audits(
    plan: Plan, store: Store, plugins: Plugins, options: RunOptions, observer: Observer, out: Path | None
) -> Audited:
    """Decodes and audits the data sets of a plan under its splits. The findings and contact sheets are also written to
    `out`, if it is given. Stages that failed before are tried again."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    executor = make_executor(plugins, options)
    store.prepare()
    store.recover()
    for content in plan.data.values():
        store.put(content)
    execution = Execution(plan, store, retry_failed=True)
    try:
        execution.run(
            executor,
            [*(audit.key for audit in plan.audits), *(audit.key for audit in plan.outside_audits)],
            observer,
        )
    finally:
        executor.stop()
    records, stages = StoreRecords(execution.outcomes, store), RunStages.of(plan)
    statuses = {key: entry | {"title": plan.stages[key].title} for key, entry in records.statuses().items()}
    if out is not None:
        add_audits(stages, records, out)
    found = [document for document, _ in audits_of(stages, records)]
    return Audited(found, failed_stages(statuses, ()), execution.interrupted)
