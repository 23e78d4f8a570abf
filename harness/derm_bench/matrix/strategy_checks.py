"""Checks the strategies of a matrix: generators and quotas that do not go together, filters and snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from derm_bench.matrix.locations import Problem
from derm_bench.matrix.model import Matrix, StrategyEntry
from derm_bench.matrix.options import PluginLookup
from derm_bench.specs import GeneratorSpec
from derm_bench.yamlio import KeyPath


def strategy_problems(matrix: Matrix, plugins: PluginLookup) -> Iterator[Problem]:
    """Yields one problem for each error in the strategies."""
    for index, strategy in enumerate(matrix.strategies):
        at: KeyPath = ("strategies", index)
        if strategy.generator is None:
            if strategy.synthetic is not None:
                yield Problem(
                    (*at, "synthetic"), "synthetic images need a generator", "write `generator:` beside it"
                )
            continue
        spec = plugins.get("generator", strategy.generator.name)
        yield from _graded(strategy, spec, at)
        if strategy.synthetic is not None and strategy.synthetic.snapshot == "best_fd":
            yield from _best(matrix, spec, at)
        if strategy.synthetic is not None and isinstance(spec, GeneratorSpec) and not spec.conditional:
            yield from _pooled(strategy, at)
    cell_makers = [entry.name for entry in matrix.strategies if entry.makes_cells]
    if cell_makers and not matrix.classifiers:
        yield Problem(
            ("classifiers",),
            f"the strategy '{cell_makers[0]}' has no classifier to train",
            "add one under classifiers",
        )


def _best(matrix: Matrix, spec: Any, at: KeyPath) -> Iterator[Problem]:
    """An error if the best snapshot is asked for and there is none."""
    place = (*at, "synthetic", "snapshot")
    if not getattr(spec, "trains", True):
        yield Problem(place, f"'{spec.name}' trains nothing, so it has one state", "write snapshot: last")
    elif matrix.snapshots.every is None:
        hint = "write `snapshots: {every: 1000}` at the top of the matrix, in updates"
        yield Problem(place, "best_fd chooses among snapshots, and none are kept", hint)


def _graded(strategy: StrategyEntry, spec: Any, at: KeyPath) -> Iterator[Problem]:
    """An error if samples are filtered by the discriminator of a generator without one that grades images."""
    stated = strategy.synthetic.filter if strategy.synthetic is not None else None
    if stated is not None and stated.by == "discriminator" and not getattr(spec, "realness", False):
        message = f"'{spec.name}' has no discriminator that grades its samples"
        yield Problem((*at, "synthetic", "filter", "by"), message, "write by: confidence")


def _pooled(strategy: StrategyEntry, at: KeyPath) -> Iterator[Problem]:
    assert strategy.generator is not None
    scope = strategy.generator.options.scope
    if scope == "pooled" or (isinstance(scope, tuple) and any(len(group) > 1 for group in scope)):
        message = f"'{strategy.generator.name}' is unconditional: over pooled classes it cannot fill a quota"
        hint = "write scope: per_class, or leave synthetic out to score the generator alone"
        yield Problem((*at, "generator", "scope"), message, hint)
