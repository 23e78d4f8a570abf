"""`derm-bench schema`."""

from __future__ import annotations

import json

import click

from derm_bench.cli.common import find_plugins
from derm_bench.matrix.schema import json_schema


@click.command()
@click.pass_obj
def schema(flags: dict[str, bool]) -> int:
    """Print the JSON Schema of the matrix file, with the options of all installed plugins."""
    click.echo(json.dumps(json_schema(find_plugins(flags)), indent=1))
    return 0
