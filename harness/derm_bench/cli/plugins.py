"""`derm-bench plugins`."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import indent
from typing import Any

import click
from pydantic.errors import PydanticInvalidForJsonSchema
from rich import box
from rich.table import Table

from derm_bench.cli.common import find_plugins, plugin_option
from derm_bench.cli.plugin_spelling import meanings, spelled
from derm_bench.cli.plugins_new import new_plugin
from derm_bench.cli.plugins_test import check_plugin
from derm_bench.errors import UserError, did_you_mean
from derm_bench.matrix.options import compose_options
from derm_bench.matrix.type_words import as_yaml, in_words
from derm_bench.plugins import OWN_DISTRIBUTION, Broken, Installed, Plugins
from derm_bench.specs import KINDS
from derm_bench.terminal import PlainConsole, say


@click.group()
def plugins() -> None:
    """List plugins, show, test or write one."""


plugins.add_command(new_plugin)
plugins.add_command(check_plugin)


@plugins.command("list")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a list of {name, kind, distribution, version, status, error}.",
)
@plugin_option
@click.pass_obj
def list_plugins(
    flags: dict[str, bool], kind: str | None, as_json: bool, plugin_files: tuple[Path, ...]
) -> int:
    """List installed plugins, or those of one KIND, and broken ones with the error."""
    found = find_plugins(flags, plugin_files)
    if as_json:
        # What is broken or blocked has no kind that is known, and belongs to every list.
        rows = [row for row in found.listing() if kind is None or row["kind"] in (kind, "")]
        click.echo(json.dumps(rows, indent=1))
        return 0
    table = narrow_table("name", "summary") if kind else narrow_table("kind", "name", "summary")
    for plugin in found.all():
        if kind in (None, plugin.kind):
            cells = (plugin.kind, plugin.spec.name, _with_origin(plugin))
            table.add_row(*cells[-len(table.columns) :])
    PlainConsole().print(table)
    for row in found.listing():
        if row["status"] != "ok":
            say(f"{row['status']}: {row['name']} ({row['distribution']} {row['version']}): {row['error']}")
    for note in notes(found):
        say(note)
    return 0


def narrow_table(*columns: str) -> Table:
    """A table without vertical lines. Only its last column is wrapped."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column != columns[-1])
    return table


def _with_origin(plugin: Installed) -> str:
    """The summary, and the distribution of a plugin that is not built in."""
    if plugin.distribution == OWN_DISTRIBUTION:
        return plugin.spec.summary
    return f"{plugin.spec.summary} ({plugin.distribution} {plugin.version})"


def notes(found: Plugins) -> list[str]:
    """Notes on working plugins: names that several distributions provide, and slow imports."""
    names: dict[tuple[str, str], list[str]] = {}
    for plugin in found.all():
        names.setdefault((plugin.kind, plugin.spec.name), []).append(plugin.distribution)
    found_notes = []
    for (kind, name), owners in names.items():
        others = [owner for owner in owners if owner != OWN_DISTRIBUTION]
        written = " or ".join(f"'{owner}:{name}'" for owner in others)
        if len(others) < len(owners) and others:
            found_notes.append(
                f"{kind} '{name}' means the built-in one; write {written} for that of {' or '.join(others)}"
            )
        elif len(others) > 1:
            found_notes.append(f"{kind} '{name}' is provided by {' and '.join(owners)}: write {written}")
    for slow in found.slow:
        why = ": it imports torch, which only the module that `create` names should do" if slow.torch else ""
        found_notes.append(f"{slow.distribution} took {slow.seconds:.1f} s to import{why}")
    return found_notes


@plugins.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON Schema of the options.")
@plugin_option
@click.pass_obj
def show_plugin(flags: dict[str, bool], name: str, as_json: bool, plugin_files: tuple[Path, ...]) -> int:
    """Show how the plugin NAME is written in a matrix, its summary, paper, presets and options. NAME may also be a
    preset, or a network of a classifier (resnet50)."""
    found = find_plugins(flags, plugin_files)
    usable = found.named(name)
    if not usable:
        return _show_meanings(found, name, as_json)
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
        say(f"in a matrix:\n{indent(spelled(installed, found.written(installed)), '  ')}")
        for preset, values in spec.presets.items():
            say(f"preset {preset}: {json.dumps(dict(values), default=str)}")
        _print_options(model)
    return 0


def _show_meanings(found: Plugins, name: str, as_json: bool) -> int:
    """Shows the networks and presets that are called `name`, or why the plugin `name` cannot be used."""
    known = list(meanings(found, name))
    if not known:
        return _show_unusable(found, name)
    for what, installed, lines in known:
        if as_json:
            click.echo(json.dumps(compose_options(installed.spec).model_json_schema(), indent=1))
            continue
        say(f"{name} is {what}. In a matrix:\n{indent(lines, '  ')}")
    if not as_json:
        plugins = dict.fromkeys(installed.spec.name for _, installed, _ in known)
        shown = " and ".join(f"`derm-bench plugins show {plugin}`" for plugin in list(plugins)[:3])
        say(f"For all options: {shown}")
    return 0


def _show_unusable(found: Plugins, name: str) -> int:
    """Prints why a plugin cannot be used, with its traceback. Returns 2."""
    entry = found.unusable(name)
    if entry is None:
        known = [plugin.spec.name for plugin in found.all()]
        known += [preset for plugin in found.all() for preset in plugin.spec.presets]
        known += [unusable.name for unusable in found.broken] + [unusable.name for unusable in found.blocked]
        raise UserError(f"no plugin is named '{name}'", hint=did_you_mean(name, known))
    origin = f"{entry.name} ({entry.distribution} {entry.version})"
    if not isinstance(entry, Broken):
        raise UserError(f"{origin} is blocked: {entry.reason}")
    say(entry.traceback.rstrip(), err=True)
    raise UserError(f"{origin} is broken: {entry.stage}: {entry.error}")


def _print_options(model: Any) -> None:
    if not model.model_fields:
        say("it has no options")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("option", no_wrap=True)
    table.add_column("type", ratio=2)
    table.add_column("default", max_width=16, overflow="fold")
    table.add_column("meaning", ratio=3)
    try:
        properties = model.model_json_schema()["properties"]
    except PydanticInvalidForJsonSchema:  # one option without a JSON Schema is enough
        properties = {}
    for name, field in model.model_fields.items():
        entry = properties.get(field.alias or name, {})
        default = "required" if field.is_required() else as_yaml(entry.get("default"))
        table.add_row(field.alias or name, in_words(entry), default, field.description or "")
    PlainConsole().print(table)
