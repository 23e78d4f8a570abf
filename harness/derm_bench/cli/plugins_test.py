"""`derm-bench plugins test`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
from rich.text import Text

from derm_bench.cli.common import find_plugins, option_values, plugin_option
from derm_bench.specs import load_object
from derm_bench.terminal import PlainConsole

COLOURS = {"ok": "green", "failed": "red", "warning": "yellow", "skipped": "dim"}


@click.command("test")
@click.argument("target")
@click.option(
    "--set", "sets", multiple=True, metavar="OPTION=VALUE", help="Set an option of the plugin; VALUE is YAML."
)
@click.option(
    "--size", default=32, show_default=True, help="Side in pixels of the images that the kit makes."
)
@click.option("--quick", is_flag=True, help="Leave out the preset smoke, which takes up to a minute.")
@plugin_option
@click.pass_obj
def check_plugin(
    flags: dict[str, bool],
    target: str,
    sets: Sequence[str],
    size: int,
    quick: bool,
    plugin_files: tuple[Path, ...],
) -> int:
    """Check TARGET with the conformance kit. TARGET is an installed plugin, or the path of a project, package or
    module.

    Prints one line per rule. Exits with 1 if a rule is broken. derm_bench.testing has the same rules for pytest.
    """
    check_target = load_object("derm_bench.testing.kit:check_target")
    console, seen, shown = PlainConsole(soft_wrap=True, highlight=False), Counter[str](), ("", "")
    plugins = find_plugins(flags, plugin_files) if plugin_files else None
    for verdict in check_target(target, option_values(sets), size=size, slow=not quick, plugins=plugins):
        if (verdict.kind, verdict.plugin) != shown:
            shown = (verdict.kind, verdict.plugin)
            console.print(Text(f"{verdict.kind} {verdict.plugin}", style="bold"))
        line = Text(f"  {verdict.status:<8}", style=COLOURS[verdict.status])
        line.append(verdict.rule.replace("_", " "), style="default")
        console.print(line.append(f": {verdict.message}" if verdict.message else "", style="default"))
        seen[verdict.status] += 1
    console.print(", ".join(f"{seen[status]} {status}" for status in COLOURS if seen[status]))
    return 1 if seen["failed"] else 0
