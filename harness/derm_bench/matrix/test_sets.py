"""Checks the test sets of a matrix: what each is, and what an external data set or a synthetic one may not state."""

from __future__ import annotations

from collections.abc import Iterator

from derm_bench.errors import did_you_mean
from derm_bench.matrix.locations import Problem
from derm_bench.matrix.model import Matrix, TestSet
from derm_bench.yamlio import KeyPath

INHERITED = ("size", "resize", "preprocess")
"""Keys of a data set that an external one takes from the data set of the cell."""

WHOLE = ("split", "limit", "train_fraction")
"""Keys of a data set that select images, which an external one does not do: it is used whole."""


def test_set_problems(matrix: Matrix) -> Iterator[Problem]:
    """Yields one problem for each error in the test sets."""
    held_out = any(entry.synthetic is not None and entry.synthetic.holdout > 0 for entry in matrix.strategies)
    for index, test_set in enumerate(matrix.test_sets):
        at: KeyPath = ("test_sets", index)
        yield from _kind(test_set, at)
        if test_set.dataset is not None:
            yield from _external(test_set, at)
        elif test_set.strategy is not None:
            yield from _of_strategy(matrix, test_set, (*at, "strategy"))
        elif test_set.synthetic is not None and not held_out:
            message = "no strategy holds out synthetic images to score on"
            hint = "write holdout under the `synthetic` of a strategy: {ratio: 1.0, holdout: 0.2} for example"
            yield Problem((*at, "synthetic"), message, hint)


def _of_strategy(matrix: Matrix, test_set: TestSet, at: KeyPath) -> Iterator[Problem]:
    """The samples of a strategy as the test set of strategies without a generator."""
    entries = {entry.name: entry for entry in matrix.strategies}
    if test_set.synthetic != "only":
        yield Problem(
            at, "the samples of a strategy are a test set of their own", "write synthetic: only beside it"
        )
    elif test_set.strategy not in entries:
        message, hint = (
            f"there is no strategy '{test_set.strategy}'",
            did_you_mean(test_set.strategy or "", entries),
        )
        yield Problem(at, message, hint or f"strategies: {', '.join(entries)}")
    elif entries[test_set.strategy].synthetic is None or entries[test_set.strategy].generator is None:
        message = f"'{test_set.strategy}' draws no samples to score on"
        yield Problem(at, message, "it needs a `generator` and a quota, such as synthetic: {ratio: 1.0}")
    elif not any(entry.generator is None for entry in matrix.strategies):
        message = "no strategy trains on real images alone, and only those are scored on samples"
        yield Problem(at, message, "add a strategy without a generator: {name: real-only}")


def _kind(test_set: TestSet, at: KeyPath) -> Iterator[Problem]:
    own = test_set.dataset is None and test_set.synthetic is None
    if own and test_set.name != "test":
        message = f"'{test_set.name}' has no data set, so it would be the test part of the split once more"
        yield Problem(at, message, "write `dataset:` beside its name, or name: test")
    if not own and test_set.name == "test":
        yield Problem((*at, "name"), "`test` is the name of the test part of the split", "use another name")
    if test_set.strategy is not None and test_set.dataset is not None:
        yield Problem((*at, "strategy"), "an external data set has no strategy", "leave it out")
    if test_set.label_map is not None and test_set.dataset is None:
        yield Problem((*at, "label_map"), "there is no `dataset:` whose labels to map")
    if test_set.dataset is not None and test_set.synthetic is not None:
        message = "a test set is an external data set or synthetic, not both"
        yield Problem((*at, "synthetic"), message, "make two test sets of it")


def _external(test_set: TestSet, at: KeyPath) -> Iterator[Problem]:
    assert test_set.dataset is not None
    written = test_set.dataset.model_fields_set
    for key in INHERITED:
        if key in written:
            message = f"an external test set takes the {key} of the data set that a cell is trained on"
            yield Problem((*at, "dataset", key), message, "leave it out")
    for key in WHOLE:
        if key in written:
            yield Problem((*at, "dataset", key), "an external test set is used whole", f"leave `{key}` out")


__all__ = ["INHERITED", "WHOLE", "test_set_problems"]
