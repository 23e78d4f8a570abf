"""A matrix -> its cells, by the rules for seeds and names; exclude, include and `product: false`."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from derm_bench.matrix.labels import matches
from derm_bench.matrix.model import Cell, DatasetEntry, Matrix, StrategyEntry
from derm_bench.matrix.options import PluginLookup
from derm_bench.matrix.refs import needs_generator
from derm_bench.matrix.select import CELL_KEYS, select

MAX_CELLS = 200_000

INCLUDE_AXES = {"split_seed": "split", "generator_seed": "generator", "classifier_seed": "classifier"}
"""Keys of an include entry that need their axis in a map of seeds."""

_Seeds = tuple[int, int, int | None, int]
"""(seed, split, generator or None, classifier), seed_offset not yet added."""


def cells(matrix: Matrix, plugins: PluginLookup | None = None) -> list[Cell]:
    """All cells, in the order datasets, fractions, strategies, classifiers, seeds; then what `include` adds.

    `exclude` drops from the product, not from what `include` adds. Score-only strategies have none. `plugins` tell
    which classifiers are built on a generator without a written `from`.
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
    """An upper bound of the number of cells, without making them."""
    seeds = [matrix.seeds.together, matrix.seeds.split, matrix.seeds.generator, matrix.seeds.classifier]
    runs = 1
    for axis in seeds:
        runs *= len(axis or (0,))
    fractions = sum(len(entry.train_fraction) for entry in matrix.datasets)
    whole = fractions * len(matrix.strategies) * len(matrix.classifiers) * runs
    return whole * (int(matrix.product) + len(matrix.include))


def generator_runs(matrix: Matrix, strategy: StrategyEntry, cells: Sequence[Cell]) -> list[Cell]:
    """Stand-ins for the cells of a score-only strategy: one a (data set, fraction, split, generator seed).

    They follow the given cells: their data sets, fractions, splits; all of the matrix's where there is none.
    `classifier` is empty.
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
    """The product of what `entry` leaves open; its labels may be patterns, its numbers new ones. `built` are the
    classifiers that need a generator."""
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
    """The seeds of one arm. An axis that the map lacks stands at 0, the split at the data set's own seed."""
    axes = matrix.seeds
    # under kfold the split seed is the fold: the first, unless `seeds.split` lists some
    frozen = 0 if dataset.split.method == "kfold" else dataset.split.seed
    splits = _given(entry, "split_seed", axes.split or (frozen,))
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
    if listed.split is not None:
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
    """Whether the cell matches every key; a seed that the cell does not depend on matches nothing."""
    for key, value in entry.items():
        actual = getattr(cell, key)
        if not (matches(value, actual) if isinstance(value, str) else actual == value):
            return False
    return True


__all__ = ["CELL_KEYS", "cells", "count_cells", "generator_runs", "select"]
