"""`derm-bench report`."""

from __future__ import annotations

from pathlib import Path

import click

from derm_bench.cli.common import store_option
from derm_bench.runner.rebuild import rebuild
from derm_bench.store import default_store


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@store_option
def report(run_dir: Path, store: Path | None) -> int:
    """Rebuild the tables, figures and report of RUN_DIR from the store's records; nothing is trained. A directory
    whose stages are not in your store is reported from its own files."""
    if not rebuild(run_dir, default_store(), store):
        click.echo("the store does not have the stages of this run: reported from its own files", err=True)
    click.echo(str(run_dir / "report.html"))
    return 0
