"""`derm-bench store`."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from derm_bench.cli.common import store_option
from derm_bench.errors import UserError
from derm_bench.store import Store, default_store, maintenance, reason
from derm_bench.terminal import PlainConsole, say

json_option = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")


@click.group()
def store() -> None:
    """Show sizes of the store, verify digests, clean up."""


def _open(place: Path | None) -> Store:
    opened = Store(place or default_store())
    if not opened.check():
        raise UserError(f"there is no store at {opened.root}", hint="give its folder with --store")
    return opened


@store.command("ls")
@store_option
@json_option
def list_store(store: Path | None, as_json: bool) -> int:
    """Show stages and sizes by kind, attempts, and leftover files."""
    summary = maintenance.summarise(_open(store))
    if as_json:
        click.echo(json.dumps(summary, indent=1))
    else:
        _print_summary(summary)
    return 0


def _print_summary(summary: dict[str, Any]) -> None:
    table = Table()
    table.add_column("kind")
    table.add_column("stages", justify="right")
    table.add_column("size", justify="right")
    for kind, entry in summary["kinds"].items():
        table.add_row(kind, str(entry["stages"]), human(entry["bytes"]))
    in_stages = sum(entry["bytes"] for entry in summary["kinds"].values())
    table.add_row("all stages", str(summary["stages"]), human(in_stages), style="bold")
    PlainConsole().print(table)
    say(f"store: {summary['store']}, {human(summary['bytes'])} in total")
    attempts = ", ".join(f"{n} {status}" for status, n in summary["attempts"].items())
    say(f"attempts: {attempts or 'none'}; {summary['failed_attempts']} failed or interrupted")
    for name, meaning in (
        ("staging", "in staging (running or left over)"),
        ("checkpoints", "checkpoints"),
        ("aside", "set aside as corrupted"),
    ):
        entry = summary["places"][name]
        if entry["entries"]:
            say(f"{entry['entries']} {meaning}, {human(entry['bytes'])}")
    if summary["running"]:
        say(f"{summary['running']} active runs")
    if summary["oldest"]:
        say(f"stages made from {summary['oldest']} to {summary['newest']}")


@store.command()
@store_option
@json_option
def verify(store: Path | None, as_json: bool) -> int:
    """Compare every output, and plan data such as splits, with its digest. What differs is set aside; the next run
    makes it again.

    Exits with 1 if anything differs.
    """
    opened = _open(store)
    total, data = sum(1 for _ in maintenance.stage_keys(opened)), len(maintenance.plan_data(opened))
    found = []
    try:
        for corrupted in maintenance.verify(opened):
            found.append(corrupted)
            if not as_json:
                say(f"{corrupted.title} ({corrupted.key[:12]}): {'; '.join(corrupted.problems)}")
                say(f"  set aside to {corrupted.moved_to}")
    except OSError as error:
        hint = "is the store writable?"
        raise UserError(f"what is corrupted cannot be set aside: {reason(error)}", hint=hint) from error
    if as_json:
        rows = [dataclasses.asdict(corrupted) for corrupted in found]
        click.echo(json.dumps({"stages": total, "data": data, "corrupted": rows}, indent=1, default=str))
    else:
        say(f"{total} stages and {data} files of plan data checked, {len(found)} corrupted")
    return 1 if found else 0


@store.command()
@store_option
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option(
    "--older-than",
    type=click.FloatRange(0),
    metavar="DAYS",
    default=None,
    help="Also remove finished stages that no run has used for this many days.",
)
@click.option("--fsync", is_flag=True, help="Flush the store to disk afterwards.")
@json_option
def gc(store: Path | None, dry_run: bool, older_than: float | None, fsync: bool, as_json: bool) -> int:
    """Remove leftovers of dead attempts, checkpoints of finished stages, corrupted stages and unused plan data.

    Everything is listed before it is removed. Nothing that an active run needs is removed, and nothing whose name
    derm-bench does not give. Finished stages are kept, unless --older-than is given.
    """
    opened = _open(store)
    items = maintenance.garbage(opened, older_than)
    if not as_json:
        for item in items:
            place = item.path.relative_to(opened.root).as_posix()
            say(f"{place}: {item.why}, {human(item.bytes)}")
    records = [] if dry_run else maintenance.clean(opened, items)
    if fsync and not dry_run:
        maintenance.flush_store(opened)
    if as_json:
        rows = [dataclasses.asdict(item) for item in items]
        freed = sum(item.bytes for item in items)
        summary = {"dry_run": dry_run, "bytes": freed, "items": rows, "recovered": len(records)}
        click.echo(json.dumps(summary, indent=1, default=str))
    else:
        _print_garbage(items, dry_run, len(records))
    return 0


def _print_garbage(items: list[maintenance.Garbage], dry_run: bool, recovered: int) -> None:
    numbers, sizes = Counter(item.why for item in items), Counter[str]()
    for item in items:
        sizes[item.why] += item.bytes
    for why, n in numbers.items():
        say(f"{n} {why}: {human(sizes[why])}")
    if recovered:
        say(f"{recovered} attempts that died without a record now have one")
    say(f"{'would free' if dry_run else 'freed'} {human(sum(sizes.values()))}")


def human(size: int) -> str:
    """A size in bytes in a readable unit."""
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
