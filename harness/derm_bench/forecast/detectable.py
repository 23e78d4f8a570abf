"""The smallest difference that a matrix can detect, from its seeds, its test images and its number of comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

from derm_bench.plan.model import Plan
from derm_bench.rundir.arms import ArmName, Arms
from derm_bench.rundir.summary import comparisons_of
from derm_bench.stats.detectable import ASSUMED, Detectable, over_repeated_splits, smallest_difference
from derm_bench.store import Store

TEST = "test"
"""The test set whose images the plan knows: the test part of the split."""


@dataclass(frozen=True)
class Outlook:
    """What the comparisons of one data set can detect. difference: the smallest difference of balanced accuracies
    that is found with 80% power, None if there will be no verdict; `why` then says why. comparisons: the size of the
    family. basis: what the variance over seeds is taken from."""

    dataset: str
    comparisons: int
    seeds: int
    difference: float | None
    why: str
    basis: str


def outlooks(plan: Plan, store: Store | None = None) -> list[Outlook]:
    """Return the outlook of each data set with comparisons. The variance over seeds is that of finished pairs of runs
    in the store, if there are enough, and otherwise an assumption (`derm_bench.stats.detectable.ASSUMED`)."""
    matrix = plan.matrix
    arms = Arms.of(
        list(_rows(plan, store)),
        {entry.name: entry.seed_offset for entry in matrix.strategies},
        apart=[one.name for one in matrix.test_sets if one.strategy is not None],
    )
    compare = matrix.compare
    versus = comparisons_of(arms, compare.baselines or None, compare.across, compare.pairs)
    found = []
    for dataset in dict.fromkeys(arm[0] for arm in versus):
        pairs = [(arm, base) for arm, others in versus.items() if arm[0] == dataset for _, base in others]
        if pairs:
            found.append(_outlook(plan, arms, dataset, pairs))
    return found


def _rows(plan: Plan, store: Store | None) -> Iterator[dict[str, Any]]:
    """Rows like those of results.csv for the test set of the split, as if all cells were done. `score` is the primary
    score of a finished cell, `any` is zero."""
    for planned in plan.cells:
        cell = planned.cell
        if TEST not in planned.evaluations:
            continue
        finished = store.finished(planned.evaluations[TEST]) if store is not None else None
        scores = finished.result.get("scores", {}) if finished is not None else {}
        yield {
            "cell": cell.name,
            "dataset": cell.dataset,
            "train_fraction": cell.train_fraction,
            "test_set": TEST,
            "strategy": cell.strategy,
            "classifier": cell.classifier,
            "split_seed": cell.split_seed,
            "generator_seed": cell.generator_seed,
            "classifier_seed": cell.classifier_seed,
            "status": "done",
            "any": 0.0,
            "score": scores.get(plan.matrix.analysis.primary),
        }


def _outlook(plan: Plan, arms: Arms, dataset: str, pairs: Sequence[tuple[ArmName, ArmName]]) -> Outlook:
    alpha = plan.matrix.analysis.alpha
    runs = [arms.pairs(arm, base, "any") for arm, base in pairs]
    few = next((why for each in runs if (why := each.few())), "")
    splits = [split for (label, _), split in plan.cell_splits().items() if label == dataset]
    repeated = len(set(runs[0].levels.get("split", ()))) if runs[0].values else 0
    seeds = min(len({*zip(*each.levels.values(), strict=True)}) for each in runs)
    measured, count = _seed_variance(arms, pairs)
    detected: Detectable | None = None
    if not few and repeated > 1:
        clusters = _clusters(splits[0])
        single = (
            ASSUMED.seed_std**2
            + ASSUMED.disagreement * sum(1 / n for n in clusters.values()) / len(clusters) ** 2
        )
        train = max(1, sum(splits[0].counts("train").values()))
        ratio = sum(splits[0].counts("test").values()) / train
        detected = over_repeated_splits(
            measured or single, repeated, ratio, comparisons=len(pairs), alpha=alpha
        )
    elif not few:
        detected = smallest_difference(
            _clusters(splits[0]), seeds, comparisons=len(pairs), alpha=alpha, seed_variance=measured
        )
    assumed = (
        f"assuming that paired runs differ by a standard deviation of {ASSUMED.seed_std:g} over seeds and disagree on "
        f"{100 * ASSUMED.disagreement:g}% of the images"
    )
    basis = assumed if measured is None else f"from {count} finished pairs of runs"
    return Outlook(
        dataset,
        len(pairs),
        seeds,
        None if detected is None else detected.difference,
        few or ("" if detected is not None else "there are no test images"),
        basis,
    )


def _clusters(split: Any) -> Mapping[str, int]:
    """The lesions or patients of each class among the test images."""
    groups: dict[str, set[str]] = {}
    for i in split.indices("test"):
        groups.setdefault(split.labels[i], set()).add(split.groups[i] or split.ids[i])
    return {label: len(names) for label, names in groups.items()}


def _seed_variance(arms: Arms, pairs: Sequence[tuple[ArmName, ArmName]]) -> tuple[float | None, int]:
    """The mean variance of the finished paired differences of a comparison, and the number of pairs; None with fewer
    than three pairs in every comparison."""
    known = [each.values for arm, base in pairs if len(each := arms.pairs(arm, base, "score")) >= 3]
    spreads = [variance(values) for values in known]
    return (fmean(spreads) or None) if spreads else None, sum(map(len, known))
