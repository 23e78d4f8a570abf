"""`derm-bench plugins`."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from derm_bench.cli.common import find_plugins
from derm_bench.errors import UserError, did_you_mean
from derm_bench.matrix.options import compose_options
from derm_bench.specs import KINDS


@click.group()
def plugins() -> None:
    """List plugins, or show one with its options."""


@plugins.command("list")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a list of {name, kind, distribution, version, status, error}.",
)
@click.pass_obj
def list_plugins(flags: dict[str, bool], as_json: bool) -> int:
    """What is installed, and what is broken and why."""
    found = find_plugins(flags)
    rows = found.listing()
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return 0
    table = Table()
    for column in ("kind", "name", "distribution", "version", "summary"):
        table.add_column(column)
    summaries = {(p.kind, p.spec.name): p.spec.summary for p in found.all()}
    for row in rows:
        text = row["error"] or summaries.get((row["kind"], row["name"]), "")
        kind = row["kind"] or row["status"]
        table.add_row(kind, row["name"], row["distribution"], row["version"], text)
    Console().print(table)
    return 0


@plugins.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON Schema of the options.")
@click.pass_obj
def show_plugin(flags: dict[str, bool], name: str, as_json: bool) -> int:
    """NAME's summary, paper, presets and options with their defaults."""
    found = find_plugins(flags)
    bare = name.rpartition(":")[2]
    kinds = [kind for kind in KINDS if bare in found.names(kind)]
    if not kinds:
        known = [known for kind in KINDS for known in found.names(kind)]
        raise UserError(f"no plugin is named '{name}'", hint=did_you_mean(name, known))
    for kind in kinds:
        installed = found.installed(kind, name)
        model = compose_options(installed.spec)
        if as_json:
            click.echo(json.dumps(model.model_json_schema(), indent=1))
            continue
        spec = installed.spec
        click.echo(f"{spec.name} ({kind}, {installed.distribution} {installed.version})\n{spec.summary}")
        if spec.paper:
            click.echo(f"paper: {spec.paper}")
        for preset, values in spec.presets.items():
            click.echo(f"preset {preset}: {json.dumps(dict(values), default=str)}")
        _print_options(model)
    return 0


def _print_options(model: Any) -> None:
    table = Table()
    for column in ("option", "type", "default", "meaning"):
        table.add_column(column)
    schema = model.model_json_schema()
    for name, field in model.model_fields.items():
        default = (
            "required"
            if field.is_required()
            else json.dumps(schema["properties"].get(field.alias or name, {}).get("default"), default=str)
        )
        annotation = getattr(field.annotation, "__name__", None)
        kind = (
            annotation
            if annotation and "[" not in str(field.annotation)
            else str(field.annotation).replace("typing.", "")
        )
        table.add_row(field.alias or name, kind, default, field.description or "")
    Console().print(table)
