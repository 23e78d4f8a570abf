"""`derm-bench data audit`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from derm_bench.cli.common import plan_request, selection_options
from derm_bench.executors.base import ExecutorSettings
from derm_bench.plain_text import recorded
from derm_bench.runner.audits import Audited, run_audits
from derm_bench.runner.progress import PlainProgress
from derm_bench.runner.run import RunOptions
from derm_bench.terminal import GOES_ON, say

NAMED = 3
"""The number of sets of images that are named below a finding."""


@click.command()
@selection_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Folder for the findings as JSON, with all ids, and for contact sheets of the images.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_obj
def audit(flags: dict[str, bool], /, matrix: Path, out: Path | None, as_json: bool, **options: Any) -> int:
    """Decode the data sets of MATRIX and show what is wrong with them under its splits.

    Looks for images, groups and near-duplicates in several parts of a split, conflicting labels, classes that something
    other than the skin tells apart, columns that are the label in disguise, and more. Nothing is trained. Exits with
    1 if a run would stop at a finding, else with 0.
    """
    request = plan_request(flags, matrix, **options)
    settings = ExecutorSettings(
        store=request.store.root,
        machine=request.plan.machine,
        workers=None,
        timeout=request.matrix.limits.timeout,
        memory=request.matrix.limits.memory,
        builtins_only=flags["no_plugins"],
        plugin_files=request.plugins.files,
    )
    made = run_audits(
        request.plan,
        request.store,
        request.plugins,
        RunOptions(out=request.run_dir, executor=request.matrix.executor, settings=settings),
        PlainProgress(quiet=as_json),
        out,
    )
    if as_json:
        say(json.dumps({"audits": made.audits, "failures": made.failures}, indent=1))
    else:
        for line in lines(made):
            say(line)
    if made.interrupted:
        say(GOES_ON, err=True)
        return 130
    stops = any(one["severity"] == "stop" for document in made.audits for one in document["findings"])
    return int(stops or bool(made.failures))


def lines(made: Audited) -> Iterator[str]:
    """The findings of all audits, stops first, as lines for a terminal."""
    for failure in made.failures:
        yield recorded(f"stop: {failure}")
    for document in made.audits:
        head = f"{document['dataset']}, split seed {document['split_seed']}: "
        findings = document["findings"]
        found = ", ".join(
            f"{n} {severity}{'s' if n > 1 else ''}"
            for severity in ("stop", "warning", "note")
            if (n := sum(one["severity"] == severity for one in findings))
        )
        yield recorded(
            f"{head}{found or 'nothing found'} in {document['images']:,} images of {document['size']} px"
        )
        for one in findings:
            yield recorded(f"  {one['severity']}: {one['sentence']}")
            yield from _named(one["images"], one["counts"])


def _named(sets: Sequence[Sequence[str]], counts: Mapping[str, int]) -> Iterator[str]:
    """The ids of the first sets of images of a finding."""
    for names in sets[:NAMED]:
        yield recorded("      " + " | ".join(names[:4]) + (" | ..." if len(names) > 4 else ""))
    total = counts.get("sets") or counts.get("pairs") or counts.get("groups") or len(sets)
    if sets and total > NAMED:
        yield f"      and {total - NAMED:,} more (--json or --out lists them)"
