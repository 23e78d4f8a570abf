"""`derm-bench verify`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from derm_bench.cli.common import find_plugins
from derm_bench.runner.verify import Verified, not_recomputed, verify
from derm_bench.terminal import say

SHOWN = 50
"""The maximum number of differences that are printed; --json has all."""


@click.command("verify")
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def verify_command(flags: dict[str, bool], /, run_dir: Path, as_json: bool) -> int:
    """Verify RUN_DIR, or the archive of one, which may be somebody else's, from its own files: the digests of all
    files, every score that follows from the predictions, and the summary.

    Exits with 0 if everything agrees and with 1 if something differs, naming cell, test set, metric and both values.
    It detects files that do not agree with each other, not results that were invented.
    """
    found = verify(run_dir, find_plugins(flags))
    if as_json:
        click.echo(json.dumps({"run_dir": str(run_dir), **asdict(found)}, allow_nan=False))
    else:
        _print(found)
    return 1 if found.differences else 0


def _print(found: Verified) -> None:
    for difference in found.differences[:SHOWN]:
        say(str(difference))
    if len(found.differences) > SHOWN:
        say(f"and {len(found.differences) - SHOWN} more differences; --json lists all")
    counted = (
        f"{found.files} files, {found.scores} scores of {found.rows} rows, {found.means} rows of summary.csv"
    )
    say(f"{counted} computed again or compared: {len(found.differences) or 'no'} differences")
    left = not_recomputed(found)
    if left:
        say(f"not computed again: {', '.join(left)}")
