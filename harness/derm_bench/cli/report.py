"""`derm-bench report`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from derm_bench.cli.common import find_plugins, store_option
from derm_bench.errors import UserError
from derm_bench.executors.base import ExecutorSettings
from derm_bench.machine import Wanted, this_machine
from derm_bench.runner.outputs import MANIFEST, write_tables
from derm_bench.runner.run import LazyExecutor, RunOptions, draw
from derm_bench.runner.saved import load


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@store_option
@click.pass_obj
def report(flags: dict[str, bool], run_dir: Path, store: Path | None) -> int:
    """Rebuild the tables, figures and report of RUN_DIR from the store's records; nothing is trained."""
    try:
        manifest = json.loads((run_dir / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{run_dir.absolute()} is no run directory: {error}", hint="give the --out of a run"
        ) from error
    results = load(manifest, run_dir, store)
    provenance = {
        key: manifest[key] for key in manifest if key not in ("matrix", "splits", "warnings", "files", "plan")
    }
    write_tables(results, run_dir, provenance)
    settings = ExecutorSettings(
        results.store.root, this_machine(None, Wanted("cpu")), builtins_only=flags["no_plugins"]
    )
    plugins = find_plugins(flags)
    options = RunOptions(run_dir, "local", settings, quiet=True)
    executor = LazyExecutor(plugins, options)
    try:
        draw(results.plan, results.store, executor, options, plugins)
    finally:
        executor.stop()
    click.echo(str(run_dir / "report.html"))
    return 0
