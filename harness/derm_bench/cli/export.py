"""`derm-bench export`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from derm_bench.cli.common import find_plugins
from derm_bench.runner.export import export
from derm_bench.terminal import say

SHOWN = 50
"""The most problems that are printed; --json has all."""


@click.command("export")
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.argument("file", required=False, default=None, type=click.Path(path_type=Path))
@click.option(
    "--samples/--no-samples",
    default=None,
    help="Pass on sheets of synthetic images, or no sheets at all. Default: those whose licence is open.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def export_command(
    flags: dict[str, bool], /, run_dir: Path, file: Path | None, samples: bool | None, as_json: bool
) -> int:
    """Write RUN_DIR into the archive FILE, a zip file; by default it has the name of the matrix.

    The archive has the tables, predictions, splits, report and manifest, the environment as a list for pip, and the
    images that their licence lets be passed on. `verify`, `answer` and `leaderboard add` read it on any machine. Exits
    with 1, and writes nothing, if a file of the run differs from its digest in the manifest.
    """
    done = export(run_dir, file, find_plugins(flags), samples=samples)
    if as_json:
        click.echo(json.dumps(asdict(done) | {"file": str(done.file)}, allow_nan=False))
        return 1 if done.problems else 0
    for problem in done.problems[:SHOWN]:
        say(f"error: {run_dir}: {problem}", err=True)
    if done.problems:
        say("Nothing was written. `derm-bench verify` names the scores that differ.", err=True)
        return 1
    for what in done.left_out:
        say(f"not in the archive: {what}")
    say(f"{done.file}: {done.files} files, {done.size:,} bytes, SHA-256 {done.sha256}")
    return 0
