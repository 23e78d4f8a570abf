"""Options that several commands share, and planning of a matrix file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from derm_bench.cli.precision import measure_once
from derm_bench.cli.preflight import preflight
from derm_bench.errors import UserError, UserErrors
from derm_bench.lazy import load_object
from derm_bench.machine import Machine, Wanted
from derm_bench.matrix.cells import cells, select_cells
from derm_bench.matrix.load import load_matrix
from derm_bench.matrix.model import Matrix
from derm_bench.plan.model import Plan
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins
from derm_bench.plugins.culprit import blaming
from derm_bench.rundir.selection import Selection
from derm_bench.store import Store, default_store
from derm_bench.yamlio import parse_yaml

Command = TypeVar("Command", bound=Callable[..., Any])


def store_option(command: Command) -> Command:
    """Adds the option `--store`."""
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=True),
        default=None,
        help="Where stage outputs are kept. Default: $DERM_BENCH_STORE, else the user's cache folder.",
    )(command)


def plugin_option(command: Command) -> Command:
    """Adds the option `--plugin`. It exists on the command line only: a matrix may come from anybody, and cannot name
    code to run."""
    return click.option(
        "--plugin",
        "plugin_files",
        multiple=True,
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Load a Python file as a plugin, without a package (repeatable).",
    )(command)


def selection_options(command: Command) -> Command:
    """Adds the argument MATRIX and the options that select from it and change it."""
    for option in reversed(
        [
            click.argument("matrix", type=click.Path(path_type=Path)),
            click.option(
                "--preset",
                "presets",
                multiple=True,
                metavar="NAME",
                help="Apply a preset of the matrix. Repeat to apply several, one after the other.",
            ),
            click.option(
                "--set",
                "sets",
                multiple=True,
                metavar="PATH=VALUE",
                help="Set a key of the matrix; VALUE is YAML.",
            ),
            click.option(
                "--only",
                multiple=True,
                metavar="EXPR",
                help="Select cells, for example strategy=dcgan*,seed=0. Repeat to select more.",
            ),
            click.option(
                "--device", default="auto", show_default=True, help="Device: auto, cpu, cuda or cuda:N."
            ),
            click.option(
                "--executor", default=None, help="Executor to use. Default: that of the matrix, else local."
            ),
            click.option(
                "--executor-option",
                "executor_options",
                multiple=True,
                metavar="KEY=VALUE",
                help="Set an option of the executor; VALUE is YAML.",
            ),
        ]
    ):
        command = option(command)
    return store_option(plugin_option(command))


@dataclass(frozen=True)
class Request:
    """A planned matrix, with the plugins, the store and the selection of the command."""

    matrix: Matrix
    plugins: Plugins
    plan: Plan
    store: Store
    selection: Selection = field(default_factory=Selection)

    @property
    def run_dir(self) -> Path:
        """The run directory if `--out` is not given."""
        return Path("runs") / self.selection.folder(self.matrix.name)


def find_plugins(flags: dict[str, bool], files: Sequence[Path] = ()) -> Plugins:
    """Loads the installed plugins as the global flags require, and the files of `--plugin`."""
    if files and flags["no_plugins"]:
        raise UserError(
            f"--plugin {files[0]}: --no-plugins uses the built-in plugins only",
            hint="leave out one of the two",
        )
    plugins = Plugins(builtins_only=flags["no_plugins"], files=files)
    if flags["strict_plugins"] and plugins.broken:
        raise UserErrors(
            [
                UserError(f"{b.distribution} {b.version} is broken: {b.stage}: {b.error}")
                for b in plugins.broken
            ]
        )
    return plugins


def plan_request(
    flags: dict[str, bool],
    matrix: Path,
    *,
    presets: Sequence[str],
    sets: Sequence[str],
    only: Sequence[str],
    device: str,
    store: Path | None,
    executor: str | None = None,
    executor_options: Sequence[str] = (),
    plugin_files: Sequence[Path] = (),
    measure: bool = False,
) -> Request:
    """Checks the store, loads and validates a matrix, selects its cells, runs the preflight checks of plugins, and
    plans. Writes nothing but, if `measure`, the precision that `precision: auto` stands for on a machine where it has
    not been measured."""
    plugins, opened = find_plugins(flags, plugin_files), Store(store or default_store())
    opened.check()
    asked = [] if executor is None else [f"executor={json.dumps({'name': executor})}"]
    asked += [f"executor.{option}" for option in executor_options]
    loaded = load_matrix(matrix, plugins, presets=presets, sets=[*sets, *asked])
    chosen = select_cells(cells(loaded, plugins), only)
    preflight(loaded, plugins, chosen)
    machine = machine_of(loaded, plugins, device)
    if measure and machine.unmeasured:
        measure_once(machine.device, machine.threads)
        machine = machine_of(loaded, plugins, device)
    plan = make_plan(loaded, chosen, plugins, machine)
    return Request(loaded, plugins, plan, opened, Selection(tuple(presets), tuple(sets), tuple(only)))


def machine_of(matrix: Matrix, plugins: Plugins, device: str) -> Machine:
    """The machine that the stages of a matrix run on, from its executor."""
    spec, numerics = plugins.get("executor", matrix.executor.name), matrix.numerics
    wanted = Wanted(device, numerics.precision, numerics.threads)
    with blaming(spec, plugins, "machine(options, wanted)"):
        machine: Machine = load_object(spec.machine)(matrix.executor.options, wanted)
    return machine


def option_values(sets: Sequence[str]) -> dict[str, Any]:
    """The values of `--set OPTION=VALUE`, by option. Raises UserError for an expression of another form."""
    given: dict[str, Any] = {}
    for expression in sets:
        name, equals, text = expression.partition("=")
        if not equals or not name.strip():
            raise UserError(
                f"--set {expression}: not of the form OPTION=VALUE", hint="for example --set base=8"
            )
        try:
            given[name.strip()] = parse_yaml(text).data
        except UserError as error:
            raise UserError(f"--set {expression}: {error.message}", hint=error.hint) from None
    return given
