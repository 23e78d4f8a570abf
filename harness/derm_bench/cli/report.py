"""`derm-bench report`."""

from __future__ import annotations

from pathlib import Path

import click

from derm_bench.cli.common import store_option
from derm_bench.runner.rebuild import rebuild
from derm_bench.store import default_store
from derm_bench.terminal import say


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@store_option
def report(run_dir: Path, store: Path | None) -> int:
    """Rebuild the tables, figures and report of RUN_DIR from the records of the store; nothing is trained. If the store
    does not have the stages of the run, the report is made from the files in RUN_DIR."""
    if not rebuild(run_dir, default_store(), store):
        say("the store does not have the stages of this run, so its own files are used", err=True)
    say(str(run_dir / "report.html"))
    return 0
