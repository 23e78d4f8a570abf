"""`derm-bench report`."""

from __future__ import annotations

from pathlib import Path

import click

from derm_bench.cli.common import store_option
from derm_bench.runner.rebuild import rebuild
from derm_bench.store import default_store
from derm_bench.terminal import say

SHOWN = 50
"""The most changed and the most missing files that are named."""


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@store_option
@click.option(
    "--paper",
    type=click.Path(path_type=Path),
    default=None,
    metavar="OUT",
    help="Also write tables (LaTeX, Markdown), figures (PDF), methods and a checklist for a paper into the folder OUT.",
)
def report(run_dir: Path, store: Path | None, paper: Path | None) -> int:
    """Make the figures and the report of RUN_DIR again from its own files; nothing is trained. With --store, or if
    files are missing that your store can give, the tables are rebuilt from the records first.

    Exits with 1, and writes nothing, if a file differs from its digest in the manifest.
    """
    done = rebuild(run_dir, default_store(), store)
    for name in done.changed[:SHOWN]:
        say(f"error: {run_dir / name} differs from its digest in manifest.json", err=True)
    if done.changed:
        say(
            "Nothing was written. `derm-bench verify` names the scores that differ. To make a file again, remove it, "
            "if your store has the stages of the run, or run the matrix again.",
            err=True,
        )
        return 1
    if done.store is not None:
        say(f"the tables were rebuilt from the store {done.store}", err=True)
    for name in done.lost[:SHOWN]:
        say(f"warning: {run_dir / name} is missing, so the report was made without it", err=True)
    if len(done.lost) > SHOWN:
        say(f"warning: {len(done.lost) - SHOWN} more files are missing", err=True)
    say(str(run_dir / "report.html"))
    if paper is not None:
        from derm_bench.paper.kit import MAIN, write_kit
        from derm_bench.report.data import ReportData

        write_kit(ReportData.load(run_dir), paper)
        say(str(paper / MAIN))
    return 0
