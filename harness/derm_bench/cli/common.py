"""Options that several commands share, and the way from a matrix file to a plan."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from derm_bench.errors import UserError, UserErrors
from derm_bench.lazy import load_object
from derm_bench.machine import Machine, Wanted
from derm_bench.matrix.cells import cells, select_cells
from derm_bench.matrix.load import load_matrix
from derm_bench.matrix.model import Matrix
from derm_bench.matrix.required_plugins import Kind, requirements
from derm_bench.plan.model import Plan
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins
from derm_bench.specs import PluginSpec
from derm_bench.store import Store, default_store

Command = TypeVar("Command", bound=Callable[..., Any])


def store_option(command: Command) -> Command:
    """`--store`."""
    return click.option(
        "--store",
        type=click.Path(path_type=Path, file_okay=True),
        default=None,
        help="Where stage outputs are kept. Default: $DERM_BENCH_STORE, else the user's cache folder.",
    )(command)


def selection_options(command: Command) -> Command:
    """The options that choose and change what a matrix asks for."""
    for option in reversed(
        [
            click.argument("matrix", type=click.Path(path_type=Path)),
            click.option("--preset", default=None, help="Apply a preset of the matrix."),
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
                help="Cells to keep: strategy=dcgan*,seed=0 (repeat for or).",
            ),
            click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."),
            click.option(
                "--executor", default=None, help="An installed executor. Default: the matrix's, else local."
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
    return store_option(command)


@dataclass(frozen=True)
class Request:
    """A matrix as a command line asks for it, planned."""

    matrix: Matrix
    plugins: Plugins
    plan: Plan
    store: Store


def find_plugins(flags: dict[str, bool]) -> Plugins:
    """The installed plugins, by the global flags."""
    plugins = Plugins(builtins_only=flags["no_plugins"])
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
    preset: str | None,
    sets: Sequence[str],
    only: Sequence[str],
    device: str,
    store: Path | None,
    executor: str | None = None,
    executor_options: Sequence[str] = (),
) -> Request:
    """Loads, validates, selects, checks what plugins can already see to be wrong, and plans."""
    plugins = find_plugins(flags)
    asked = [] if executor is None else [f"executor={json.dumps({'name': executor})}"]
    asked += [f"executor.{option}" for option in executor_options]
    loaded = load_matrix(matrix, plugins, preset=preset, sets=[*sets, *asked])
    chosen = select_cells(cells(loaded, plugins), only)
    preflight(loaded, plugins)
    plan = make_plan(loaded, chosen, plugins, machine_of(loaded, plugins, device))
    return Request(loaded, plugins, plan, Store(store or default_store()))


def machine_of(matrix: Matrix, plugins: Plugins, device: str) -> Machine:
    """The machine that the stages of a matrix run on, as its executor tells it."""
    spec, numerics = plugins.get("executor", matrix.executor.name), matrix.numerics
    wanted = Wanted(device, numerics.precision, numerics.threads)
    machine: Machine = load_object(spec.machine)(matrix.executor.options, wanted)
    return machine


def preflight(matrix: Matrix, plugins: Plugins) -> None:
    """Asks every plugin that the matrix names what it can already see to be wrong."""
    uses: list[tuple[str, tuple[str | int, ...], Any]] = [
        *(("dataset", ("datasets", k), entry) for k, entry in enumerate(matrix.datasets)),
        *(("classifier", ("classifiers", k), entry) for k, entry in enumerate(matrix.classifiers)),
        *(("metric", ("metrics", k), entry) for k, entry in enumerate(matrix.metrics)),
    ]
    for k, dataset in enumerate(matrix.datasets):
        uses += [
            ("transform", ("datasets", k, "preprocess", i), use) for i, use in enumerate(dataset.preprocess)
        ]
    for k, strategy in enumerate(matrix.strategies):
        uses += [
            ("transform", ("strategies", k, "augment", i), use) for i, use in enumerate(strategy.augment)
        ]
        if strategy.generator is not None:
            at = ("strategies", k, "generator")
            uses.append(("generator", at, strategy.generator))
            augment = strategy.generator.options.augment
            uses += [("transform", (*at, "augment", i), use) for i, use in enumerate(augment)]
    uses += list(_built_on(matrix, plugins, uses))
    problems: dict[str, UserError] = {}
    for kind, path, use in uses:
        for key, problem in _problems(plugins.get(kind, use.name), use.options):
            error = matrix.error(f"{kind} {use.name}: {problem}", (*path, *key))
            problems.setdefault(error.message, error)
    if problems:
        raise UserErrors(list(problems.values()))


def _built_on(
    matrix: Matrix, plugins: Plugins, uses: list[tuple[str, tuple[str | int, ...], Any]]
) -> Iterator[tuple[str, tuple[str | int, ...], Any]]:
    """What generators and classifiers are built on: plugins they require, data sets of their `init`."""
    for kind, path, use in uses:
        if kind in ("generator", "classifier"):
            builds: Kind = "generator" if kind == "generator" else "classifier"
            found = [(required.kind, required.use) for required in requirements(builds, use, plugins, matrix)]
            yield from ((of, path, needed) for of, needed in found)
            for one in (use, *(needed for _, needed in found)):
                if getattr(one, "init", None) is not None:
                    yield "dataset", (*path, "init", "dataset"), one.init.dataset


def _problems(spec: PluginSpec, options: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """What the plugin sees to be wrong, and files and folders that are not there."""
    for problem in load_object(spec.preflight)(options) if spec.preflight else ():
        yield (), problem
    for name, value in options:
        if isinstance(value, Path) and not value.exists():
            yield (name,), f"there is nothing at {value}"
