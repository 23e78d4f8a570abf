"""`derm-bench plugins new`."""

from __future__ import annotations

from pathlib import Path

import click

from derm_bench.cli.common import find_plugins
from derm_bench.scaffold import KINDS, write_package
from derm_bench.terminal import say


@click.command("new")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.pass_obj
def new_plugin(flags: dict[str, bool], kind: str, name: str) -> int:
    """Write the package derm-bench-NAME to ./NAME: a working plugin of the given KIND, with tests."""
    written = write_package(kind, name, find_plugins(flags), Path.cwd())
    for path in written:
        say(f"  {path.relative_to(Path.cwd())}")
    say(f"next: pip install -e {name} && pytest {name}; {name}/README.md contains a matrix to run")
    return 0
