"""How the primary score of a cell varies with the choice of its test images."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from derm_bench.scoring.classification import metric_of
from derm_bench.scoring.influence import influences
from derm_bench.scoring.names import range_of
from derm_bench.scoring.predictions import Predictions
from derm_bench.stats.test_images import Clusters, Deviations, least_variance, of_influences, of_score

if TYPE_CHECKING:
    from derm_bench.rundir.cell_predictions import CellPredictions, PredictionSource
    from derm_bench.stats.test_images import Ints

Sampled = Callable[[str, str], Deviations | None]


@dataclass(frozen=True)
class PluginPrimary:
    """The primary metric of a plugin. `made` returns the object of the plugin for a cell and its classes."""

    name: str
    higher_is_better: bool
    made: Callable[[str, tuple[str, ...]], Any]

    def score(self, cell: str, found: CellPredictions, rows: Ints) -> float:
        """Return the metric of the images `rows` (int64 [M], with repetitions); may raise anything."""
        p, groups = found.predictions, tuple(found.groups[i] for i in rows)
        classes = tuple(p.classes)
        values = self.made(cell, classes).compute(p.labels[rows], p.proba[rows], groups, classes)
        return float(values[self.name])


def sampled_scores(source: PredictionSource, metric: str, plugin: PluginPrimary | None = None) -> Sampled:
    """Return a function of a cell and a test set that returns the deviations of `metric`: None without predictions, if
    a class has the images of a single lesion or patient, and for a metric that is neither built in nor that of
    `plugin`, or has no value for some images that are drawn again."""

    @functools.cache
    def sampled(cell: str, test_set: str) -> Deviations | None:
        found = source.of(cell, test_set)
        if found is None:
            return None
        return deviations_of(found, metric) if plugin is None else _of_plugin(plugin, cell, found)

    return sampled


def sampled_by(source: PredictionSource | None) -> Callable[[str], Sampled]:
    """Return the same by metric. Without a source nothing is known of any."""

    @functools.cache
    def by(metric: str) -> Sampled:
        return (lambda cell, test_set: None) if source is None else sampled_scores(source, metric)

    return by


def deviations_of(found: CellPredictions, metric: str) -> Deviations | None:
    """Return the deviations of a metric of these predictions; None as `sampled_scores` says."""
    predictions, clusters = found.predictions, _clusters(found)
    lowest, highest = range_of(metric, predictions.classes)
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


def _of_plugin(plugin: PluginPrimary, cell: str, found: CellPredictions) -> Deviations | None:
    clusters = _clusters(found)
    if clusters.lone:
        return None
    try:
        deviations = of_score(clusters, lambda rows: plugin.score(cell, found, rows), bounded=False)
    except Exception:  # a plugin may raise anything, for images that it has no value for
        return None
    return deviations if all(map(math.isfinite, deviations.vector)) else None


def _clusters(found: CellPredictions) -> Clusters:
    groups = [group or name for group, name in zip(found.groups, found.ids, strict=True)]
    return Clusters.of(found.predictions.labels, groups, found.ids)
