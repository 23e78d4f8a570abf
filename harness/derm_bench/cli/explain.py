"""`derm-bench explain`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from derm_bench.attempts import FAILURES
from derm_bench.cli.common import Request, plan_request, selection_options
from derm_bench.errors import UserError, did_you_mean
from derm_bench.matrix.labels import matches
from derm_bench.plan.explain import differences, nearest
from derm_bench.plan.model import PlannedCell, Stage
from derm_bench.runner.execute import Execution, error_of
from derm_bench.store import CORRUPT
from derm_bench.store.maintenance import documents
from derm_bench.terminal import say

NAMED = 5  # cells that a message lists at most


@click.command()
@selection_options
@click.argument("cell")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_obj
def explain(flags: dict[str, bool], /, matrix: Path, cell: str, as_json: bool, **options: Any) -> int:
    """Show why each stage of CELL would hit or miss the cache, and which input has changed. Nothing is executed.

    CELL is the name of a cell, or a pattern with * that matches one cell.
    """
    request = plan_request(flags, matrix, **options)
    planned = find_cell(request.plan.cells, cell)
    rows = explanations(request, planned)
    if as_json:
        click.echo(json.dumps({"cell": planned.cell.name, "stages": rows}, indent=1))
        return 0
    say(planned.cell.name)
    shown: dict[str, str] = {}
    for row in rows:
        first = shown.setdefault(row["traceback"], row["title"])
        _print(row, "" if first == row["title"] else first)
    return 0


def find_cell(cells: list[PlannedCell], pattern: str) -> PlannedCell:
    """The one cell with that name, or that matches the pattern. Raises UserError if there is none or more than one."""
    found = [planned for planned in cells if planned.cell.name == pattern]
    found = found or [planned for planned in cells if matches(pattern, planned.cell.name)]
    names = [planned.cell.name for planned in found or cells]
    if len(found) == 1:
        return found[0]
    if found:
        rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        raise UserError(
            f"{len(names)} cells match '{pattern}': {', '.join(names[:NAMED])}{rest}",
            hint="give the name of one",
        )
    hint = did_you_mean(pattern, names)
    if not hint.startswith("did you mean") and len(names) > NAMED:
        hint = f"for example {', '.join(names[:NAMED])}; `derm-bench plan` lists all of them"
    raise UserError(f"no cell is named '{pattern}'", hint=hint)


def explanations(request: Request, planned: PlannedCell) -> list[dict[str, Any]]:
    """One row per stage of a cell, upstream first: `{title, kind, key, status, needed, made, why, nearest, differs}`.

    `status` is `hit` or `miss`. `needed` is false for a miss whose output no missing stage reads. `why` is `never
    made`, `failed before`, `interrupted before`, `was corrupted` or `an input changed`; empty for a hit. `differs`
    lists the differences from the nearest earlier stage, whose title is `nearest`. `traceback` and `record` are those
    of a stage that failed before: the text, and the file with the records of all attempts; else empty.
    """
    wanted = list(dict.fromkeys([planned.train, *planned.evaluations.values()]))
    stages = request.plan.stages
    upstream = (k for key in wanted for k in (*request.plan.upstream(key), key))
    gated = (each for key in upstream for each in (*stages[key].after, key))
    keys = list(dict.fromkeys(k for key in gated for k in (*request.plan.upstream(key), key)))
    needed = set(Execution(request.plan, request.store).needed(wanted))
    missing = [key for key in keys if not request.store.has(key)]
    earlier = _earlier(request, {request.plan.stages[key].kind for key in missing})
    titles = {key: request.plan.stages[key].title for key in keys}
    rows = []
    for key in keys:
        stage = request.plan.stages[key]
        row = {"title": stage.title, "kind": stage.kind, "key": key}
        if key in missing:
            why = _why(request, stage, earlier.get(stage.kind, []), titles)
            rows.append(row | {"status": "miss", "needed": key in needed, "made": None} | why)
        else:
            finished = request.store.finished(key)
            made = finished.attempt.get("started") if finished else None
            rows.append(
                {
                    **row,
                    "status": "hit",
                    "needed": False,
                    "made": made,
                    "why": "",
                    "nearest": None,
                    "differs": [],
                    "traceback": "",
                    "record": "",
                }
            )
    return rows


@dataclass(frozen=True)
class _Earlier:
    identity: Mapping[str, Any]
    title: str
    made: str


def _earlier(request: Request, kinds: set[str]) -> dict[str, list[_Earlier]]:
    """The finished stages of the given kinds, latest first."""
    found: dict[str, list[_Earlier]] = {kind: [] for kind in kinds}
    for _, document in documents(request.store) if kinds else ():
        kind = document["identity"].get("kind")
        if kind in found:
            attempt = document["attempt"]
            entry = _Earlier(document["identity"], attempt.get("title", ""), attempt.get("started", ""))
            found[kind].append(entry)
    for entries in found.values():
        entries.sort(key=lambda entry: entry.made, reverse=True)
    return found


def _why(
    request: Request, stage: Stage, earlier: list[_Earlier], titles: Mapping[str, str]
) -> dict[str, Any]:
    """The reason why a stage is not in the store."""
    no_failure = {"traceback": "", "record": ""}
    last = next(iter(reversed(request.store.records(stage.key))), None)
    if last is not None and last["status"] in (*FAILURES, "interrupted", CORRUPT):
        status = last["status"]
        why = {"interrupted": "interrupted before", CORRUPT: "was corrupted"}.get(status, "failed before")
        trace = (last.get("error") or {}).get("traceback", "").rstrip()
        record = str(request.store.record_file(stage.key))
        said = [f"{status}: {error_of(last)}"]
        return {"why": why, "nearest": None, "differs": said, "traceback": trace, "record": record}
    place = nearest(stage.identity, [(entry.identity, entry.title) for entry in earlier], stage.title)
    if place is None:
        return {"why": "never made", "nearest": None, "differs": []} | no_failure
    near = earlier[place]
    found = differences(stage.identity, near.identity, titles, lambda digest: _listing(request, digest))
    changed = {"why": "an input changed", "nearest": f"{near.title} ({near.made[:16]})", "differs": found}
    return changed | no_failure


def _listing(request: Request, digest: str) -> bytes | None:
    """The list of files or modules with this digest, of the plan or of an earlier one; None if it is not known."""
    if digest in request.plan.data or not digest.isalnum() or request.store.check_data(digest):
        return request.plan.data.get(digest)
    return request.store.data(digest).read_bytes()


def _print(row: Mapping[str, Any], same_as: str) -> None:
    """Prints the row of a stage. `same_as` is an earlier stage with the same traceback, which is not repeated."""
    if row["status"] == "hit":
        say(f"  hit   {row['title']}  {row['key'][:12]}, made {(row['made'] or 'earlier')[:16]}")
        return
    unneeded = "" if row["needed"] else "; not needed, because its outputs are only read by cached stages"
    near = f", the nearest is {row['nearest']}" if row["nearest"] else ""
    say(f"  miss  {row['title']}: {row['why']}{near}{unneeded}")
    for difference in row["differs"]:
        say(f"          {difference}")
    trace = f"the same traceback as '{same_as}'" if same_as and row["traceback"] else row["traceback"]
    for line in trace.splitlines():
        say(f"            {line}")
    if row["record"]:
        say(f"          more in {row['record']}")
