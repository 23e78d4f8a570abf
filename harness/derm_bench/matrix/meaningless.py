"""Refuses what is valid word by word and cannot be meant: a thing that is listed twice, an arm that is compared with
itself, an exclusion of what does not exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from derm_bench.matrix.cells import splits_of
from derm_bench.matrix.locations import Problem
from derm_bench.matrix.model import GeneratorUse, Matrix
from derm_bench.matrix.test_sets import test_set_problems
from derm_bench.yamlio import KeyPath


def meaningless(matrix: Matrix) -> Iterator[Problem]:
    """Yields one problem for each such place of a matrix."""
    yield from test_set_problems(matrix)
    yield from _classes(matrix)
    yield from _generators(matrix)
    yield from _comparisons(matrix)
    yield from _folds(matrix)


def _classes(matrix: Matrix) -> Iterator[Problem]:
    trains = bool(matrix.classifiers) and any(entry.makes_cells for entry in matrix.strategies)
    for index, dataset in enumerate(matrix.datasets):
        at: KeyPath = ("datasets", index, "classes")
        if dataset.classes is None:
            continue
        for name, labels in dataset.classes.items():
            if not labels:
                yield Problem((*at, name), f"no label is merged into the class '{name}'", "list its labels")
        if len(dataset.classes) < 2 and trains:
            message = "a classifier needs at least two classes, and here is " + (
                f"one: '{next(iter(dataset.classes))}'" if dataset.classes else "none"
            )
            yield Problem(at, message)


def _generators(matrix: Matrix) -> Iterator[Problem]:
    for at, use in _generator_uses(matrix):
        classes, scope = use.options.classes, use.options.scope
        if classes is not None and not classes:
            yield Problem((*at, "classes"), "an empty list of classes", "leave it out for all classes")
        yield from _twice((*at, "classes"), classes or (), "the class")
        if isinstance(scope, tuple):
            yield from _twice((*at, "scope"), [name for group in scope for name in group], "the class")


def _generator_uses(matrix: Matrix) -> Iterator[tuple[KeyPath, GeneratorUse]]:
    for index, strategy in enumerate(matrix.strategies):
        if strategy.generator is not None:
            yield ("strategies", index, "generator"), strategy.generator
    for index, classifier in enumerate(matrix.classifiers):
        if classifier.taken_from is not None and classifier.taken_from.generator is not None:
            yield ("classifiers", index, "from", "generator"), classifier.taken_from.generator


def _comparisons(matrix: Matrix) -> Iterator[Problem]:
    yield from _twice(("compare", "baselines"), matrix.compare.baselines, "the baseline")
    for index, (arm, baseline) in enumerate(matrix.compare.pairs):
        at: KeyPath = ("compare", "pairs", index)
        if arm.items() <= baseline.items() or baseline.items() <= arm.items():
            shown = ", ".join(f"{key} {name}" for key, name in arm.items())
            yield Problem(at, f"{shown}: an arm is compared with itself")
        if (arm, baseline) in matrix.compare.pairs[:index]:
            yield Problem(at, "the same pair is listed before")


def _folds(matrix: Matrix) -> Iterator[Problem]:
    for index, entry in enumerate(matrix.include):
        fold = entry.get("split_seed", 0)
        for dataset in matrix.datasets:
            if dataset.split.method == "kfold" and isinstance(fold, int) and fold >= dataset.split.folds:
                message = f"fold {fold} of {dataset.split.folds}, counted from 0"
                yield Problem(
                    ("include", index, "split_seed"),
                    message,
                    f"the data set '{dataset.label}' is split by kfold",
                )


def _twice(at: KeyPath, names: Sequence[Any], what: str) -> Iterator[Problem]:
    seen = set()
    for name in names:
        if name in seen:
            yield Problem(at, f"{what} '{name}' is listed twice")
        seen.add(name)


def unmatched(matrix: Matrix) -> Iterator[Problem]:
    """Yields one problem for each number in `exclude` that no cell of the product has. Labels are checked with the
    rules of the matrix, since presets do not remove them."""
    listed = matrix.seeds
    offsets = {strategy.seed_offset for strategy in matrix.strategies}
    axes: dict[str, tuple[set[Any], set[int]]] = {
        "seed": (set(listed.together or listed.classifier or (0,)), {0}),
        "classifier_seed": (set(listed.together or listed.classifier or (0,)), offsets),
        "generator_seed": (set(listed.together or listed.generator or (0,)), offsets),
        "split_seed": ({seed for dataset in matrix.datasets for seed in splits_of(matrix, dataset)}, {0}),
        "train_fraction": ({part for dataset in matrix.datasets for part in dataset.train_fraction}, {0}),
    }
    for index, entry in enumerate(matrix.exclude):
        for key in axes.keys() & entry.keys():
            values, added = axes[key]
            if not any(entry[key] - offset in values for offset in added):
                known = ", ".join(map(str, sorted(values)[:10])) + (", ..." if len(values) > 10 else "")
                yield Problem(("exclude", index, key), f"no cell has {key} {entry[key]}", f"there is {known}")


__all__ = ["meaningless", "unmatched"]
