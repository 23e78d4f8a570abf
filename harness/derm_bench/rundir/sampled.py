"""How the primary score of a cell varies with the choice of its test images."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from derm_bench.scoring.classification import metric_of
from derm_bench.scoring.influence import influences
from derm_bench.scoring.names import range_of
from derm_bench.scoring.predictions import Predictions
from derm_bench.stats.test_images import Clusters, Deviations, least_variance, of_influences, of_score

if TYPE_CHECKING:
    from derm_bench.rundir.cell_predictions import CellPredictions, PredictionSource
    from derm_bench.stats.test_images import Ints

Sampled = Callable[[str, str], Deviations | None]


def sampled_scores(source: PredictionSource, metric: str) -> Sampled:
    """Return a function of a cell and a test set that returns the deviations of `metric`: None without predictions,
    for a metric of a plugin, and if a class has the images of a single lesion or patient."""

    @functools.cache
    def sampled(cell: str, test_set: str) -> Deviations | None:
        found = source.of(cell, test_set)
        return None if found is None else deviations_of(found, metric)

    return sampled


def sampled_by(source: PredictionSource | None) -> Callable[[str], Sampled]:
    """Return the same by metric. Without a source nothing is known of any."""

    @functools.cache
    def by(metric: str) -> Sampled:
        return (lambda cell, test_set: None) if source is None else sampled_scores(source, metric)

    return by


def deviations_of(found: CellPredictions, metric: str) -> Deviations | None:
    """Return the deviations of a metric of these predictions; None as `sampled_scores` says."""
    predictions = found.predictions
    lowest, highest = range_of(metric, predictions.classes)
    groups = [group or name for group, name in zip(found.groups, found.ids, strict=True)]
    clusters = Clusters.of(predictions.labels, groups, found.ids)
    if clusters.lone or (math.isinf(lowest) and math.isinf(highest)):
        return None
    closed = influences(metric, predictions)
    if closed is not None:
        least = least_variance(clusters, closed.weights) if highest <= 1 else 0.0
        return of_influences(clusters, closed.values, least)
    score = metric_of(metric, predictions.classes)

    def again(rows: Ints) -> float:
        p = predictions
        return score(Predictions(p.labels[rows], p.proba[rows], p.classes, p.val_labels, p.val_proba))

    deviations = of_score(clusters, again, bounded=highest <= 1)
    return None if any(map(math.isnan, deviations.vector)) else deviations
