"""`derm-bench schema`."""

from __future__ import annotations

import json

import click

from derm_bench.cli.common import find_plugins
from derm_bench.matrix.schema import json_schema
from derm_bench.matrix.schema_key import key_schema


@click.command()
@click.option(
    "--key",
    metavar="KEY",
    help="Print only the schema of this key (datasets, strategies.generator) or plugin (generator.dcgan).",
)
@click.pass_obj
def schema(flags: dict[str, bool], key: str | None) -> int:
    """Print the JSON Schema of the matrix file, with the options of all installed plugins, for an editor."""
    whole = json_schema(find_plugins(flags))
    click.echo(json.dumps(whole if key is None else key_schema(whole, key), indent=1))
    return 0
