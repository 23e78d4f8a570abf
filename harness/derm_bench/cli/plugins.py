"""`derm-bench plugins`."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.table import Table

from derm_bench.cli.common import find_plugins
from derm_bench.cli.plugins_new import new_plugin
from derm_bench.cli.plugins_test import check_plugin
from derm_bench.errors import UserError, did_you_mean
from derm_bench.matrix.options import compose_options
from derm_bench.plugins import Broken, Plugins
from derm_bench.terminal import PlainConsole, say


@click.group()
def plugins() -> None:
    """List plugins, show, test or write one."""


plugins.add_command(new_plugin)
plugins.add_command(check_plugin)


@plugins.command("list")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a list of {name, kind, distribution, version, status, error}.",
)
@click.pass_obj
def list_plugins(flags: dict[str, bool], as_json: bool) -> int:
    """List installed plugins, and broken ones with the error."""
    found = find_plugins(flags)
    rows = found.listing()
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return 0
    table = Table()
    for column in ("kind", "name", "distribution", "version", "status", "summary"):
        table.add_column(column)
    summaries = {(p.kind, p.spec.name, p.distribution): p.spec.summary for p in found.all()}
    for row in rows:
        text = row["error"] or summaries[row["kind"], row["name"], row["distribution"]]
        cells = (row["kind"], row["name"], row["distribution"], row["version"], row["status"], text)
        table.add_row(*cells)
    PlainConsole().print(table)
    for note in notes(found):
        say(note)
    return 0


def notes(found: Plugins) -> list[str]:
    """Notes on working plugins: names that several distributions provide, and slow imports."""
    names: dict[tuple[str, str], list[str]] = {}
    for plugin in found.all():
        names.setdefault((plugin.kind, plugin.spec.name), []).append(plugin.distribution)
    found_notes = [
        f"{kind} '{name}' is provided by {' and '.join(owners)}: write "
        + " or ".join(f"'{owner}:{name}'" for owner in owners)
        for (kind, name), owners in names.items()
        if len(owners) > 1
    ]
    for slow in found.slow:
        why = ": it imports torch, which only the module that `create` names should do" if slow.torch else ""
        found_notes.append(f"{slow.distribution} took {slow.seconds:.1f} s to import{why}")
    return found_notes


@plugins.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON Schema of the options.")
@click.pass_obj
def show_plugin(flags: dict[str, bool], name: str, as_json: bool) -> int:
    """Show the summary, paper, presets and options of the plugin NAME."""
    found = find_plugins(flags)
    usable = found.named(name)
    if not usable:
        return _show_unusable(found, name)
    for installed in usable:
        model = compose_options(installed.spec)
        if as_json:
            click.echo(json.dumps(model.model_json_schema(), indent=1))
            continue
        spec = installed.spec
        origin = f"{installed.kind}, {installed.distribution} {installed.version}"
        say(f"{spec.name} ({origin})\n{spec.summary}")
        if spec.paper:
            say(f"paper: {spec.paper}")
        for preset, values in spec.presets.items():
            say(f"preset {preset}: {json.dumps(dict(values), default=str)}")
        _print_options(model)
    return 0


def _show_unusable(found: Plugins, name: str) -> int:
    """Prints why a plugin cannot be used, with its traceback. Returns 2."""
    entry = found.unusable(name)
    if entry is None:
        known = [plugin.spec.name for plugin in found.all()]
        known += [unusable.name for unusable in found.broken] + [unusable.name for unusable in found.blocked]
        raise UserError(f"no plugin is named '{name}'", hint=did_you_mean(name, known))
    origin = f"{entry.name} ({entry.distribution} {entry.version})"
    if not isinstance(entry, Broken):
        raise UserError(f"{origin} is blocked: {entry.reason}")
    say(entry.traceback.rstrip(), err=True)
    raise UserError(f"{origin} is broken: {entry.stage}: {entry.error}")


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
    PlainConsole().print(table)
