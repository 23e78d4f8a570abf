"""Checks of a matrix before it is planned: what plugins find wrong with their options, and files that are missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from derm_bench.cli.weights_file import problem_of_weights
from derm_bench.errors import UserError, UserErrors
from derm_bench.lazy import load_object
from derm_bench.matrix.model import Cell, Matrix
from derm_bench.matrix.required_plugins import Kind, requirements
from derm_bench.options.paths import paths_in
from derm_bench.plan.option_paths import folder_files
from derm_bench.plugins import Plugins
from derm_bench.plugins.culprit import blaming
from derm_bench.specs import GeneratorSpec, PluginSpec
from derm_bench.yamlio import KeyPath

SIDE = {"generator": "size", "classifier": "input_size"}
"""The option with the side of a plugin's images, by kind; its default is the stored size of the data set."""


@dataclass(frozen=True)
class _Use:
    """A plugin with its options, where it stands in the matrix, and the stored sizes of the data that it is run on."""

    kind: str
    at: KeyPath
    use: Any
    sides: frozenset[int] = frozenset()


def preflight(matrix: Matrix, plugins: Plugins, cells: Sequence[Cell] = ()) -> None:
    """Runs the preflight check of every plugin in the matrix, for each stored size of the data that `cells` use it on.
    Raises UserErrors with all problems."""
    uses = list(_uses(matrix, cells))
    uses += [found for one in uses for found in _required(matrix, plugins, one)]
    problems: dict[str, UserError] = {}
    for one in uses:
        spec = plugins.get(one.kind, one.use.name)
        for key, problem in _problems(spec, one, plugins):
            error = matrix.error(f"{one.kind} {one.use.name}: {problem}", (*one.at, *key))
            problems.setdefault(error.message, error)
    if problems:
        raise UserErrors(list(problems.values()))


def _uses(matrix: Matrix, cells: Sequence[Cell]) -> Iterator[_Use]:
    sizes = {entry.label: entry.size for entry in matrix.datasets}
    for k, dataset in enumerate(matrix.datasets):
        yield _Use("dataset", ("datasets", k), dataset)
        for i, step in enumerate(dataset.preprocess):
            yield _Use("transform", ("datasets", k, "preprocess", i), step)
    for k, metric in enumerate(matrix.metrics):
        yield _Use("metric", ("metrics", k), metric)
    for k, classifier in enumerate(matrix.classifiers):
        on = {cell.dataset for cell in cells if cell.classifier == classifier.label}
        yield _Use("classifier", ("classifiers", k), classifier, frozenset(sizes[name] for name in on))
    for k, strategy in enumerate(matrix.strategies):
        for i, step in enumerate(strategy.augment):
            yield _Use("transform", ("strategies", k, "augment", i), step)
        if strategy.generator is not None:
            # A generator that is only scored is fitted on the data sets of the cells, or on all.
            mine = {
                cell.dataset for cell in cells if cell.strategy == strategy.name or not strategy.makes_cells
            }
            on = mine or (set() if strategy.makes_cells else set(sizes))
            at: KeyPath = ("strategies", k, "generator")
            yield _Use("generator", at, strategy.generator, frozenset(sizes[name] for name in on))
            for i, step in enumerate(strategy.generator.options.augment):
                yield _Use("transform", (*at, "augment", i), step)


def _required(matrix: Matrix, plugins: Plugins, one: _Use) -> Iterator[_Use]:
    """The plugins that a generator or classifier requires, and the data sets of their `init`."""
    if one.kind not in SIDE:
        return
    builds: Kind = "generator" if one.kind == "generator" else "classifier"
    found = [(required.kind, required.use) for required in requirements(builds, one.use, plugins, matrix)]
    for kind, use in found:
        yield _Use(kind, one.at, use, one.sides)
    for use in (one.use, *(use for _, use in found)):
        if getattr(use, "init", None) is not None:
            yield _Use("dataset", (*one.at, "init", "dataset"), use.init.dataset)


def _problems(spec: PluginSpec, one: _Use, plugins: Plugins) -> Iterator[tuple[KeyPath, str]]:
    """The problems that the preflight of a plugin finds, and paths that cannot be read."""
    if spec.preflight:
        with blaming(spec, plugins, "preflight(options)"):
            check = load_object(spec.preflight)
            found = [problem for options in _at_sides(one) for problem in check(options)]
        yield from (((), problem) for problem in found)
    for place, path, stated in paths_in(one.use.options):
        # What a missing folder means, the plugin itself says that states it: it may be one to be written.
        problem = "" if stated and not path.exists() else problem_of_path(path)
        of_weights = one.kind == "classifier" and place == ("weights",)
        if not problem and (of_weights or (path.suffix == ".safetensors" and path.is_file())):
            problem = problem_of_weights(path)
        elif not problem and path.is_dir() and one.kind != "dataset" and not stated:
            problem = problem_of_folder(path)
        if problem:
            yield place, problem
    if isinstance(spec, GeneratorSpec):
        yield from _uncountable(spec, one.use.options)


def _uncountable(spec: GeneratorSpec, options: Any) -> Iterator[tuple[KeyPath, str]]:
    """Problem of a budget in epochs or kimg if a generator seems to have another option for its batch size."""
    budget, fields = options.budget, type(options).model_fields
    if budget.updates is not None or spec.batch_option in fields:
        return
    numbers = [
        name for name, field in fields.items() if int in (field.annotation, *get_args(field.annotation))
    ]
    alike = [name for name in numbers if "batch" in name.lower()]
    if alike:
        unit = "epochs" if budget.epochs is not None else "kimg"
        yield (
            ("budget",),
            f"a budget in {unit} is counted in batches of the option `{spec.batch_option}`, which it does not have, "
            f"and `{alike[0]}` may be it: write budget: {{updates: n}}, or ask its author for "
            f'GeneratorSpec(batch_option="{alike[0]}")',
        )


def _at_sides(one: _Use) -> list[Any]:
    """The options of a plugin, with the side that it takes from the data set filled in: one copy for each side."""
    options, name = one.use.options, SIDE.get(one.kind, "")
    if name not in type(options).model_fields or getattr(options, name) is not None or not one.sides:
        return [options]
    return [options.model_copy(update={name: side}) for side in sorted(one.sides)]


def problem_of_path(path: Path) -> str:
    """What is wrong with the path of a file or folder; empty if nothing is. A device or a pipe is refused, since
    reading it may never end."""
    if not path.exists():
        return f"{path} does not exist"
    return "" if path.is_file() or path.is_dir() else f"{path} is neither a file nor a folder"


def problem_of_folder(folder: Path) -> str:
    """Why a folder cannot be known by its content; empty if it can."""
    try:
        folder_files(folder)
    except UserError as error:
        return f"{error.message}; {error.hint}" if error.hint else error.message
    return ""


__all__ = ["preflight", "problem_of_path"]
