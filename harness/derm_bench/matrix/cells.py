"""The cells of a matrix: the product of its axes, `exclude`, `include`, seeds and names."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from derm_bench.matrix.cell_selection import CELL_KEYS, select_cells
from derm_bench.matrix.labels import matches
from derm_bench.matrix.model import Cell, DatasetEntry, Matrix, StrategyEntry
from derm_bench.matrix.options import PluginLookup
from derm_bench.matrix.required_plugins import needs_generator

MAX_CELLS = 50_000

INCLUDE_AXES = {"split_seed": "split", "generator_seed": "generator", "classifier_seed": "classifier"}
"""Keys of an include entry that need their axis in a map of seeds."""

_Seeds = tuple[int, int, int | None, int]
"""Seeds (cell, split, generator or None, classifier) before `seed_offset` is added."""


def cells(matrix: Matrix, plugins: PluginLookup | None = None) -> list[Cell]:
    """All cells, ordered by data set, fraction, strategy, classifier and seed, followed by those that `include` adds.

    `exclude` removes cells of the product, not those that `include` adds. A strategy whose generator is only scored
    has no cells. `plugins` is used to find the classifiers that require a generator without a `from` in the matrix.
    """
    made: dict[str, Cell] = {}
    built = {c.label for c in matrix.classifiers if needs_generator("classifier", c, plugins, matrix)}
    if matrix.product:
        for cell in _product(matrix, {}, built):
            if not any(_excluded(cell, entry) for entry in matrix.exclude):
                made[cell.name] = cell
    for entry in matrix.include:
        for cell in _product(matrix, entry, built):
            made.setdefault(cell.name, cell)
    return list(made.values())


def count_cells(matrix: Matrix) -> int:
    """An upper bound of the number of cells, computed without making them."""
    runs = 1
    for axis in (matrix.seeds.together, matrix.seeds.generator, matrix.seeds.classifier):
        runs *= len(axis or (0,))
    splits = sum(len(entry.train_fraction) * len(splits_of(matrix, entry)) for entry in matrix.datasets)
    whole = splits * len(matrix.strategies) * len(matrix.classifiers) * runs
    return whole * (int(matrix.product) + len(matrix.include))


def splits_of(matrix: Matrix, dataset: DatasetEntry) -> tuple[int, ...]:
    """The split seeds of a data set: those of `seeds.split`, else its own. With kfold they are folds, by default
    all."""
    if matrix.seeds.split is not None:
        return matrix.seeds.split
    return tuple(range(dataset.split.folds)) if dataset.split.method == "kfold" else (dataset.split.seed,)


def generator_runs(matrix: Matrix, strategy: StrategyEntry, cells: Sequence[Cell]) -> list[Cell]:
    """Placeholder cells for a strategy whose generator is only scored, with an empty `classifier`.

    There is one per data set, fraction, split and generator seed. Data sets, fractions and splits are those of `cells`,
    or all of the matrix when there are none.
    """
    wanted = {(cell.dataset, cell.train_fraction, cell.split_seed) for cell in cells}
    runs: dict[tuple[Any, ...], Cell] = {}
    for dataset in matrix.datasets:
        for fraction in _fractions(dataset, wanted):
            for seeds in _seeds(matrix, dataset, True, {}):
                key = (dataset.label, fraction, seeds[1], seeds[2])
                if key not in runs and (not wanted or key[:3] in wanted):
                    runs[key] = _cell(matrix, dataset, fraction, strategy, "", seeds)
    return list(runs.values())


def _fractions(dataset: DatasetEntry, wanted: set[tuple[str, float, int]]) -> list[float]:
    added = sorted(
        {fraction for label, fraction, _ in wanted if label == dataset.label} - set(dataset.train_fraction)
    )
    return [*dataset.train_fraction, *added]


def _product(matrix: Matrix, entry: Mapping[str, Any], built: Collection[str]) -> Iterator[Cell]:
    """The product over all axes that `entry` does not fix. Its labels may be patterns; its numbers need not be in the
    matrix. `built` are the labels of classifiers that need a generator."""
    datasets = [d for d in matrix.datasets if matches(entry.get("dataset", "*"), d.label)]
    strategies = [
        s for s in matrix.strategies if s.makes_cells and matches(entry.get("strategy", "*"), s.name)
    ]
    classifiers = [c for c in matrix.classifiers if matches(entry.get("classifier", "*"), c.label)]
    for dataset in datasets:
        fractions = [float(entry["train_fraction"])] if "train_fraction" in entry else dataset.train_fraction
        for fraction, strategy, classifier in itertools.product(fractions, strategies, classifiers):
            generates = strategy.generator is not None or classifier.label in built
            for seeds in _seeds(matrix, dataset, generates, entry):
                yield _cell(matrix, dataset, fraction, strategy, classifier.label, seeds)


def _seeds(
    matrix: Matrix, dataset: DatasetEntry, generates: bool, entry: Mapping[str, Any]
) -> Iterator[_Seeds]:
    """The seeds of one arm. An axis that is missing from the map is 0; the split seed is then that of the data set."""
    axes = matrix.seeds
    splits = _given(entry, "split_seed", splits_of(matrix, dataset))
    if axes.together is not None:
        for split, seed in itertools.product(splits, _given(entry, "seed", axes.together)):
            yield seed, split, seed if generates else None, seed
        return
    generators = _given(entry, "generator_seed", axes.generator or (0,)) if generates else (None,)
    classifiers = _given(entry, "classifier_seed", _given(entry, "seed", axes.classifier or (0,)))
    for split, generator, classifier in itertools.product(splits, generators, classifiers):
        yield classifier, split, generator, classifier


def _given(entry: Mapping[str, Any], key: str, otherwise: tuple[int, ...]) -> tuple[int, ...]:
    return (int(entry[key]),) if key in entry else otherwise


def _cell(
    matrix: Matrix,
    dataset: DatasetEntry,
    fraction: float,
    strategy: StrategyEntry,
    classifier: str,
    seeds: _Seeds,
) -> Cell:
    seed, split, generator, trained = seeds
    generator = None if generator is None else generator + strategy.seed_offset
    trained += strategy.seed_offset
    listed = matrix.seeds
    name = dataset.label
    if fraction != 1.0 or dataset.train_fraction != (1.0,):
        name += f"@{fraction}"
    name += f"/{strategy.name}/{classifier}/{seed}"
    if listed.split is not None or dataset.split.method == "kfold":
        name += f"-s{split}"
    if listed.generator is not None and generator is not None:
        name += f"-g{generator}"
    if listed.classifier is not None:
        name += f"-c{trained}"
    return Cell(
        name=name,
        dataset=dataset.label,
        train_fraction=fraction,
        strategy=strategy.name,
        classifier=classifier,
        seed=seed,
        split_seed=split,
        generator_seed=generator,
        classifier_seed=trained,
    )


def _excluded(cell: Cell, entry: Mapping[str, Any]) -> bool:
    """Whether the cell matches every key of `entry`. A seed that the cell does not depend on matches nothing."""
    for key, value in entry.items():
        actual = getattr(cell, key)
        if not (matches(value, actual) if isinstance(value, str) else actual == value):
            return False
    return True


__all__ = ["CELL_KEYS", "cells", "count_cells", "generator_runs", "select_cells", "splits_of"]
