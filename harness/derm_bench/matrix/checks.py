"""Checks rules across the entries of a matrix: labels, permits, budgets, quotas, comparisons, seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from derm_bench.errors import UserError, did_you_mean, dotted
from derm_bench.matrix.cells import CELL_KEYS, INCLUDE_AXES, MAX_CELLS, cells, count_cells
from derm_bench.matrix.labels import matches
from derm_bench.matrix.locations import Problem
from derm_bench.matrix.meaningless import meaningless
from derm_bench.matrix.model import PERMITS, ClassifierEntry, Matrix, PerClass
from derm_bench.matrix.names import name_problems
from derm_bench.matrix.options import PluginLookup
from derm_bench.matrix.provenance import lacks_statement, stated_by
from derm_bench.matrix.questions import refusals
from derm_bench.matrix.required_plugins import Kind, Required, Use, requirements
from derm_bench.matrix.strategy_checks import strategy_problems
from derm_bench.scoring.names import METRICS, PER_CLASS
from derm_bench.specs import ClassifierUse
from derm_bench.yamlio import KeyPath

MAX_COMPARED = 5_000_000  # cells times entries of `exclude`: some ten seconds


def problems(matrix: Matrix, plugins: PluginLookup) -> Iterator[Problem]:
    """All errors that can be found in the matrix alone, without looking at data sets."""
    found = [
        *name_problems(matrix),
        *_protocol(matrix, plugins),
        *_datasets(matrix),
        *_budgets(matrix, plugins),
        *strategy_problems(matrix, plugins),
        *_requirements(matrix, plugins),
        *_statements(matrix, plugins),
        *_comparisons(matrix, plugins),
        *_seeds(matrix),
        *_selections(matrix),
        *meaningless(matrix),
    ]
    yield from found
    if not found:
        yield from _cells(matrix, plugins)


# -------------------------------------------------------------------------------------- protocol


def _protocol(matrix: Matrix, plugins: PluginLookup) -> Iterator[Problem]:
    for index, permit in enumerate(matrix.protocol.allow):
        if permit not in PERMITS:
            yield Problem(
                ("protocol", "allow", index), f"no permit is named '{permit}'", did_you_mean(permit, PERMITS)
            )
    if matrix.protocol.allow and matrix.protocol.name == "fair":
        hint = "write protocol: {name: paper, allow: [...]}"
        yield Problem(("protocol", "allow"), "the protocol `fair` permits nothing", hint)
    for path, permit, leak in _leaks(matrix, plugins):
        if matrix.protocol.name != "paper" or permit not in matrix.protocol.allow:
            hint = f"change it, or permit it with protocol: {{name: paper, allow: [{permit}]}}"
            yield Problem(path, f"{leak}; it needs the permit {permit}", hint)


def permitted_leaks(matrix: Matrix, plugins: PluginLookup) -> list[str]:
    """The leaks that the matrix asks for and its protocol permits, one sentence each."""
    return [
        f"permitted by {permit}: {dotted(path)}: {leak}" for path, permit, leak in _leaks(matrix, plugins)
    ]


def _leaks(matrix: Matrix, plugins: PluginLookup) -> Iterator[tuple[KeyPath, str, str]]:
    """Yields (key path, permit, description) for each leak that the matrix asks for."""
    for index, dataset in enumerate(matrix.datasets):
        if dataset.split.group == "none":
            message = "`group: none` lets images of one lesion be on both sides of the split"
            yield ("datasets", index, "split", "group"), "ungrouped_split", message
        if dataset.split.val == "test":
            yield ("datasets", index, "split", "val"), "select_on_test", "`val: test` selects on the test set"
    for index, strategy in enumerate(matrix.strategies):
        if strategy.generator is not None and strategy.generator.options.fit_on == "all":
            message = "`fit_on: all` shows the generator validation and test images"
            yield ("strategies", index, "generator", "fit_on"), "generator_sees_test", message
        if strategy.generator is not None and (stated := stated_by(strategy.generator, plugins)).sees_test:
            message = f"its images are {stated.statement}: validation or test images are among it"
            yield ("strategies", index, "generator"), "generator_sees_test", message
        if strategy.synthetic is not None and strategy.synthetic.val == "held_out":
            message = "`val: held_out` selects this arm on its own samples, and the other arms on real images"
            yield ("strategies", index, "synthetic", "val"), "select_on_synthetic", message
    for at, required in _required(matrix, plugins):
        if required.strategy is not None:
            continue  # the leak is reported at that strategy
        if required.use.options.fit_on == "all":
            message = f"`fit_on: all` shows {required.use.name} validation and test images"
            yield at, "generator_sees_test", message
        elif (stated := stated_by(required.use, plugins)).sees_test:
            message = f"its images are {stated.statement}: validation or test images are among it"
            yield at, "generator_sees_test", message
    for index, test_set in enumerate(matrix.test_sets):
        if test_set.synthetic is not None and test_set.strategy is None:
            message = "a synthetic test set does not measure real skin"
            yield ("test_sets", index, "synthetic"), "synthetic_in_test", message
    if matrix.budget.updates is None:
        message = "a budget other than updates gives larger training sets more updates"
        key = "epochs" if matrix.budget.epochs is not None else "kimg"
        yield ("budget", key), "unmatched_budget", message


def _required(matrix: Matrix, plugins: PluginLookup) -> Iterator[tuple[KeyPath, Required]]:
    """The generators that other plugins require, each with the key path of the entry that requires it."""
    for kind, at, use in _builders(matrix):
        taken_from = getattr(use, "taken_from", None)
        written = taken_from.generator if taken_from is not None else None
        try:
            found = list(requirements(kind, use, plugins, matrix))
        except UserError:
            continue  # reported by `_requirements`
        for required in found:
            if required.kind == "generator":
                direct = written is not None and required.use.name == written.name
                yield (*at, "from", "generator") if direct else at, required


def _builders(matrix: Matrix) -> Iterator[tuple[Kind, KeyPath, Use]]:
    """The entries of a matrix that may require others, with their key paths."""
    for index, strategy in enumerate(matrix.strategies):
        if strategy.generator is not None:
            yield "generator", ("strategies", index, "generator"), strategy.generator
        filtered = strategy.synthetic.filter if strategy.synthetic is not None else None
        if filtered is not None and filtered.classifier is not None:
            yield (
                "classifier",
                ("strategies", index, "synthetic", "filter", "classifier"),
                filtered.classifier,
            )
    for index, classifier in enumerate(matrix.classifiers):
        yield "classifier", ("classifiers", index), classifier


def _statements(matrix: Matrix, plugins: PluginLookup) -> Iterator[Problem]:
    """Generators that start from weights, without a statement of what these were trained on."""
    own = [
        (("strategies", index, "generator"), strategy.generator)
        for index, strategy in enumerate(matrix.strategies)
        if strategy.generator is not None
    ]
    others = [
        (at, required.generator) for at, required in _required(matrix, plugins) if not required.strategy
    ]
    for at, use in (*own, *others):
        if lacks_statement(use, plugins):
            yield Problem(
                at,
                f"{use.name} starts from weights, and nothing states what they were trained on",
                "write trained_on: a description of the data; train, with split: the digest of the split; or all, test "
                "or val, which need the permit generator_sees_test",
            )


# -------------------------------------------------------------------- data sets, budgets, strategies


def _datasets(matrix: Matrix) -> Iterator[Problem]:
    for index, dataset in enumerate(matrix.datasets):
        at: KeyPath = ("datasets", index)
        counts = Counter(dataset.train_fraction)
        if max(counts.values()) > 1:
            yield Problem((*at, "train_fraction"), "a fraction is listed twice")
        owner: dict[str, str] = {}
        for name, labels in (dataset.classes or {}).items():
            for label in labels:
                if label in owner:
                    both = f"is in the classes '{owner[label]}' and '{name}'"
                    message = f"the label '{label}' {both if owner[label] != name else 'is listed twice'}"
                    yield Problem((*at, "classes", name), message)
                owner[label] = name
        shares = [
            s for s in (dataset.split.test, dataset.split.val, dataset.split.reserve) if isinstance(s, float)
        ]
        if sum(shares) >= 1:
            yield Problem((*at, "split"), "test, val and reserve leave nothing to train on")


def _budgets(matrix: Matrix, plugins: PluginLookup) -> Iterator[Problem]:
    without_val = [entry.label for entry in matrix.datasets if _is_zero(entry.split.val)]
    for at, classifier, member in _trained(matrix, plugins):
        who = f"{classifier.name}: " if member else ""
        if without_val and classifier.options.select != "last":
            message = (
                f"the data set '{without_val[0]}' has `val: 0`, so there is nothing to select the best on"
            )
            yield Problem(at if member else (*at, "select"), who + message, "write select: last")
        if classifier.options.patience is not None and matrix.budget.updates is not None:
            message = "patience would train some arms less than the matched budget of updates"
            yield Problem(at if member else (*at, "patience"), who + message, "leave it out")


def _trained(
    matrix: Matrix, plugins: PluginLookup
) -> Iterator[tuple[KeyPath, ClassifierEntry | ClassifierUse, bool]]:
    """The classifiers of a matrix with their key paths. Each is followed by the classifiers that it requires (marked
    True), which are trained under the same conditions."""
    trained: list[tuple[KeyPath, ClassifierEntry | ClassifierUse]] = [
        (("classifiers", index), classifier) for index, classifier in enumerate(matrix.classifiers)
    ]
    for index, strategy in enumerate(matrix.strategies):
        stated = strategy.synthetic.filter if strategy.synthetic is not None else None
        if stated is not None and stated.classifier is not None:
            trained.append((("strategies", index, "synthetic", "filter", "classifier"), stated.classifier))
    for at, classifier in trained:
        yield at, classifier, False
        try:
            found = list(requirements("classifier", classifier, plugins, matrix))
        except UserError:
            continue  # reported by `_requirements`
        yield from ((at, required.classifier, True) for required in found if required.kind == "classifier")


def _is_zero(val: Any) -> bool:
    return val == 0 or (isinstance(val, PerClass) and val.per_class in (0, None))


def _requirements(matrix: Matrix, plugins: PluginLookup) -> Iterator[Problem]:
    """Errors in requirements: cycles, unknown names, `from` for a plugin that takes none, `init` without validation."""
    for kind, at, use in _builders(matrix):
        try:
            list(requirements(kind, use, plugins, matrix))
        except UserError as error:
            from_it = getattr(use, "taken_from", None) is not None and not error.path
            place = (*at, *(("from",) if from_it else error.path))
            yield Problem(place, error.message, error.hint, error.__cause__)
    for at, classifier, member in _trained(matrix, plugins):
        init = classifier.init
        if init is not None and _is_zero(init.dataset.split.val) and classifier.options.select != "last":
            message = (
                f"the data set '{init.dataset.label}' has `val: 0`, so there is nothing to select the best on"
            )
            where = at if member else (*at, "init", "dataset")
            yield Problem(where, message, "write select: last")
    others: list[tuple[str, KeyPath, str]] = [
        *(("dataset", ("datasets", k), entry.name) for k, entry in enumerate(matrix.datasets)),
        *(("metric", ("metrics", k), entry.name) for k, entry in enumerate(matrix.metrics)),
    ]
    for k, strategy in enumerate(matrix.strategies):
        others += [("transform", ("strategies", k, "augment"), use.name) for use in strategy.augment]
    for what, at, name in others:
        if getattr(plugins.get(what, name), "requires", None):
            yield Problem(
                at, f"the {what} '{name}' requires other plugins, which only generators and classifiers may"
            )


# ------------------------------------------------------------------- comparisons, seeds, selections


def _comparisons(matrix: Matrix, plugins: PluginLookup) -> Iterator[Problem]:
    labels = _labels(matrix)
    across = matrix.compare.across
    for index, name in enumerate(matrix.compare.baselines):
        if name not in labels[across]:
            hint = did_you_mean(name, labels[across])
            yield Problem(("compare", "baselines", index), f"no {across} is labelled '{name}'", hint)
    for index, pair in enumerate(matrix.compare.pairs):
        for side, arm in enumerate(pair):
            at: KeyPath = ("compare", "pairs", index, side)
            if "strategy" not in arm and "classifier" not in arm:
                yield Problem(at, "an arm must name a strategy, a classifier or both")
            for key, name in arm.items():
                if key not in labels:
                    yield Problem((*at, key), f"unknown key '{key}'", did_you_mean(key, labels))
                elif name not in labels[key]:
                    yield Problem(
                        (*at, key), f"no {key} is labelled '{name}'", did_you_mean(name, labels[key])
                    )
    yield from _primary(matrix, plugins)
    if matrix.compare.questions:
        plain = matrix.model_dump(mode="json", by_alias=True, exclude={"file"})
        for index, message, hint in refusals(plain):
            yield Problem(("compare", "questions", index), message, hint)


def _primary(matrix: Matrix, plugins: PluginLookup) -> Iterator[Problem]:
    """Errors in the primary metric. Whether a class that it names exists is checked when data sets have been
    described."""
    primary, at = matrix.analysis.primary, ("analysis", "primary")
    levels = {use.name: plugins.get("metric", use.name).level for use in matrix.metrics}
    if levels.get(primary) == "images":
        message = f"'{primary}' is a metric of images: it scores no classifier"
        yield Problem(at, message, "name a metric of predictions, balanced_accuracy for example")
    elif primary not in (*METRICS, *levels) and not primary.startswith(
        tuple(f"{name}_" for name in PER_CLASS)
    ):
        known = [*METRICS, *(name for name, level in levels.items() if level == "predictions")]
        yield Problem(at, f"no metric is named '{primary}'", did_you_mean(primary, known))


def _labels(matrix: Matrix) -> dict[str, list[str]]:
    return {
        "dataset": [entry.label for entry in matrix.datasets],
        "strategy": [entry.name for entry in matrix.strategies],
        "classifier": [entry.label for entry in matrix.classifiers],
    }


def _seeds(matrix: Matrix) -> Iterator[Problem]:
    for axis in ("together", "split", "generator", "classifier"):
        seeds = getattr(matrix.seeds, axis)
        if seeds is not None and len(set(seeds)) < len(seeds):
            path = ("seeds",) if axis == "together" else ("seeds", axis)
            yield Problem(path, f"a seed is listed twice in {list(seeds)}")
    for index, dataset in enumerate(matrix.datasets):
        folds = [seed for seed in matrix.seeds.split or () if seed >= dataset.split.folds]
        if dataset.split.method == "kfold" and folds:
            message = f"fold {folds[0]} of {dataset.split.folds}, counted from 0"
            yield Problem(("seeds", "split"), message, f"the data set '{dataset.label}' is split by kfold")
        if dataset.split.method == "kfold" and dataset.split.val == "test":
            yield Problem(
                ("datasets", index, "split", "val"), "kfold needs a share for validation, not `test`"
            )


def _selections(matrix: Matrix) -> Iterator[Problem]:
    labels = _labels(matrix)
    for section in ("exclude", "include"):
        for index, entry in enumerate(getattr(matrix, section)):
            at: KeyPath = (section, index)
            if not entry:
                yield Problem(at, "an empty entry matches every cell", f"name what to {section}")
            for key, value in entry.items():
                yield from _selection(matrix, labels, section, (*at, key), key, value)
    if not matrix.product and not matrix.include:
        yield Problem(("product",), "`product: false` without `include` leaves no cell")


def _selection(
    matrix: Matrix, labels: Mapping[str, Sequence[str]], section: str, at: KeyPath, key: str, value: Any
) -> Iterator[Problem]:
    valid = [name for name in CELL_KEYS if name != "cell"]
    if key not in valid:
        yield Problem(at, f"unknown key '{key}'", did_you_mean(key, valid))
    elif key in labels:
        if not isinstance(value, str) or not any(matches(value, label) for label in labels[key]):
            yield Problem(at, f"no {key} is labelled '{value}'", did_you_mean(str(value), labels[key]))
    elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        yield Problem(at, f"a number is expected, got {value!r}")
    elif key == "train_fraction":
        if not 0 < value <= 1:
            yield Problem(at, f"a train_fraction must be above 0 and at most 1, got {value}")
    elif value != int(value) or not 0 <= value < 2**32:
        yield Problem(at, f"a seed must be a whole number of 0 or more and below 2**32, got {value}")
    elif section == "include" and key in INCLUDE_AXES and getattr(matrix.seeds, INCLUDE_AXES[key]) is None:
        axis = INCLUDE_AXES[key]
        yield Problem(
            at, f"`{key}` varies only where `seeds` is a map with {axis}", f"write seeds: {{{axis}: [...]}}"
        )


def _cells(matrix: Matrix, plugins: PluginLookup) -> Iterator[Problem]:
    if count_cells(matrix) > MAX_CELLS:
        yield Problem((), f"more than {MAX_CELLS} cells", "sweep less, or use fewer seeds")
    elif count_cells(matrix) * len(matrix.exclude) > MAX_COMPARED:
        message = f"{len(matrix.exclude)} entries for {count_cells(matrix)} cells are too many"
        yield Problem(("exclude",), message, "write patterns, `{strategy: gan*}` for example")
    elif not any(entry.makes_cells for entry in matrix.strategies):
        return
    elif (matrix.exclude or not matrix.product or not matrix.classifiers) and not cells(matrix, plugins):
        yield Problem(("exclude",), "exclude leaves no cell")
