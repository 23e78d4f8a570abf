"""Checks that finite or externally trained generators were trained on the planned split and have enough images."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from derm_bench.errors import UserError, UserErrors
from derm_bench.matrix.model import Cell, Matrix
from derm_bench.matrix.provenance import stated_by
from derm_bench.plan.model import Plan
from derm_bench.plugins import Plugins
from derm_bench.plugins.culprit import blaming
from derm_bench.specs import Provenance, load_object
from derm_bench.splits import PlannedSplit
from derm_bench.yamlio import KeyPath

# The value of `finite` for a generator that returns each of the images that it reads once.
READS = "reads"

PERMIT = "generator_sees_test"


def check_provenance(plan: Plan, plugins: Plugins) -> None:
    """Adds warnings to the plan. Raises UserErrors if a stated split differs from the planned one, if a generator needs
    a reserve that does not exist, or if a quota exceeds the number of available images."""
    strategies = {entry.name: (k, entry) for k, entry in enumerate(plan.matrix.strategies)}
    problems: dict[str, UserError] = {}
    for fit in plan.fits:
        place, strategy = strategies[fit.strategy]
        assert strategy.generator is not None
        spec = plugins.get("generator", strategy.generator.name)
        stated = stated_by(strategy.generator, plugins)
        if stated.statement:
            at = ("strategies", place, "generator", "split")
            problem = _other_split(plan, fit.dataset, fit.split_seed, stated, at)
            if problem is not None:
                problems.setdefault(problem.message, problem)
            _warn(plan, _remarks(fit.strategy, fit.train_fraction, stated))
            problem = _held_out(plan, fit.strategy, fit.dataset, fit.split_seed, stated, at[:3])
            if problem is not None:
                problems.setdefault(problem.message, problem)
        if spec.reads == "reserve" and not plan.splits[fit.dataset, fit.split_seed].counts("reserve"):
            problem = no_reserve(
                plan.matrix, strategy.generator.name, fit.dataset, ("strategies", place, "generator")
            )
            problems.setdefault(problem.message, problem)
    for problem in _shortages(plan, plugins, strategies):
        problems.setdefault(problem.message, problem)
    if problems:
        raise UserErrors(list(problems.values()))


def no_reserve(matrix: Matrix, plugin: str, dataset: str, at: KeyPath) -> UserError:
    """The error for a plugin that is fitted on a reserve of a data set without one."""
    message = f"'{plugin}' is fitted on the reserve, and '{dataset}' keeps none"
    return matrix.error(message, at, "set split.reserve of the data set above 0")


def check_required(plan: Plan, plugins: Plugins, use: Any, cell: Cell, at: tuple[str | int, ...]) -> None:
    """Checks like `check_provenance` the split of a required generator; `at` is its location in the matrix."""
    stated = stated_by(use, plugins)
    if stated.statement:
        problem = _other_split(plan, cell.dataset, cell.split_seed, stated, at)
        if problem is not None:
            raise problem
        name = f"{cell.classifier or cell.strategy}/{use.name}"
        _warn(plan, _remarks(name, cell.train_fraction, stated))
        problem = _held_out(plan, name, cell.dataset, cell.split_seed, stated, at)
        if problem is not None:
            raise problem


def _other_split(
    plan: Plan, dataset: str, split_seed: int, stated: Provenance, at: tuple[str | int, ...]
) -> UserError | None:
    digest = plan.splits[dataset, split_seed].digest
    if not stated.split or digest.startswith(stated.split):
        return None
    message = f"the model was trained on the split {stated.split}, but the split of {dataset} is {digest}"
    hint = "they may have been trained on its test images: use one strategy and split.seed per split"
    return plan.matrix.error(message, at, hint)


def _held_out(
    plan: Plan, name: str, dataset: str, split_seed: int, stated: Provenance, at: tuple[str | int, ...]
) -> UserError | None:
    """The error for a model that saw validation or test images of the split, by their ids; a warning in the plan if the
    protocol permits it."""
    split = plan.splits[dataset, split_seed]
    seen = [
        one
        for one, part in zip(split.ids, split.parts, strict=True)
        if part in ("val", "test") and one in stated.saw
    ]
    if not seen:
        return None
    message = (
        f"{name}: the model was trained on {len(seen):,} of the validation and test images of {dataset} "
        f"({seen[0]}{' and others' if len(seen) > 1 else ''})"
    )
    if PERMIT in plan.matrix.protocol.allow:
        _warn(plan, [f"{message} (permitted by {PERMIT})"])
        return None
    hint = f"use images of a model that saw training images alone, or protocol: {{name: paper, allow: [{PERMIT}]}}"
    return plan.matrix.error(message, at, hint)


def _remarks(name: str, train_fraction: float, stated: Provenance) -> Iterator[str]:
    """The warnings about images whose training data are not verified or include held-out images."""
    if stated.sees_test:
        yield f"{name}: its images are {stated.statement}, which includes validation or test images"
    elif not stated.split:
        yield f"{name}: its images are {stated.statement}; it is not verified that no test image was used"
    if stated.split and train_fraction < 1:
        yield f"{name}@{train_fraction:g}: its images were trained on the whole training split"


def _shortages(plan: Plan, plugins: Plugins, strategies: dict[str, Any]) -> Iterator[UserError]:
    """The errors for quotas that exceed the number of available images."""
    found: dict[tuple[str, str, int], Mapping[str, float]] = {}
    for planned in plan.cells:
        if not planned.quota:
            continue
        cell, (place, strategy) = planned.cell, strategies[planned.cell.strategy]
        use, where = strategy.generator, (cell.strategy, cell.dataset, cell.split_seed)
        if where not in found:
            found[where] = images_there(plugins, use, plan.splits[cell.dataset, cell.split_seed])
        there = found[where]
        for name, n in planned.quota.items():
            if n and n > there[name]:
                reads = plugins.get("generator", use.name).reads
                more = "raise split.reserve" if reads == "reserve" else "add images"
                message = f"{use.label} has {there[name]:.0f} images of '{name}', but the quota is {n}"
                yield plan.matrix.error(
                    message, ("strategies", place, "synthetic"), f"request fewer images, or {more}"
                )


def images_there(plugins: Plugins, use: Any, split: PlannedSplit) -> Mapping[str, float]:
    """The number of images per class that a generator can make; infinite if it has no limit."""
    spec = plugins.get("generator", use.name)
    with blaming(spec, plugins, "finite(options)"):
        found = load_object(spec.finite)(use.options) if spec.finite else math.inf
    if found == READS:
        found = split.counts(spec.reads)
    if isinstance(found, Mapping):
        return defaultdict(int, found)
    return defaultdict(lambda: found)


def _warn(plan: Plan, remarks: Iterable[str]) -> None:
    plan.warnings += [remark for remark in dict.fromkeys(remarks) if remark not in plan.warnings]
