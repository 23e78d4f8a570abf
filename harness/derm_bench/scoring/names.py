"""The names of the classification metrics, with their direction and function. This module does not import numpy.

Code that selects by one metric receives the import path and the direction of this metric and does not import this
table, so that it depends on one function alone and a new metric does not affect it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class MetricEntry(NamedTuple):
    """`path` is the import path of the function (see `derm_bench.scoring.predictions`), written as a literal so that
    the source digest of a module that imports this table includes it."""

    path: str
    higher_is_better: bool = True


METRICS: Mapping[str, MetricEntry] = {
    "accuracy": MetricEntry("derm_bench.scoring.confusion_matrix:accuracy"),
    "balanced_accuracy": MetricEntry("derm_bench.scoring.confusion_matrix:balanced_accuracy"),
    "precision_macro": MetricEntry("derm_bench.scoring.confusion_matrix:precision_macro"),
    "recall_macro": MetricEntry("derm_bench.scoring.confusion_matrix:recall_macro"),
    "f1_macro": MetricEntry("derm_bench.scoring.confusion_matrix:f1_macro"),
    "precision_weighted": MetricEntry("derm_bench.scoring.confusion_matrix:precision_weighted"),
    "recall_weighted": MetricEntry("derm_bench.scoring.confusion_matrix:recall_weighted"),
    "f1_weighted": MetricEntry("derm_bench.scoring.confusion_matrix:f1_weighted"),
    "specificity_macro": MetricEntry("derm_bench.scoring.confusion_matrix:specificity_macro"),
    "auc_macro": MetricEntry("derm_bench.scoring.ranking:auc_macro"),
    "average_precision_macro": MetricEntry("derm_bench.scoring.ranking:average_precision_macro"),
    "pauc_80": MetricEntry("derm_bench.scoring.ranking:pauc_80"),
    "log_loss": MetricEntry("derm_bench.scoring.probabilities:log_loss", higher_is_better=False),
    "brier": MetricEntry("derm_bench.scoring.probabilities:brier", higher_is_better=False),
    "ece": MetricEntry("derm_bench.scoring.probabilities:ece", higher_is_better=False),
    "sensitivity_at_0.90": MetricEntry("derm_bench.scoring.operating_points:sensitivity_at_90"),
}
"""The metrics of a whole test set, in the order of results.csv."""

CLASS_METRICS: Mapping[str, MetricEntry] = {
    "recall": MetricEntry("derm_bench.scoring.confusion_matrix:recall"),
    "precision": MetricEntry("derm_bench.scoring.confusion_matrix:precision"),
    "f1": MetricEntry("derm_bench.scoring.confusion_matrix:f1"),
    "auc": MetricEntry("derm_bench.scoring.ranking:auc"),
}
"""The metrics of a single class, named `<metric>_<class>`, in the order of results.csv."""

RANGES: Mapping[str, tuple[float, float]] = {
    "pauc_80": (0.0, 0.2),
    "log_loss": (0.0, float("inf")),
    "brier": (0.0, 2.0),
}
"""The ranges of the metrics that are not in [0, 1]."""

PER_CLASS = tuple(CLASS_METRICS)
HIGHER_IS_BETTER: Mapping[str, bool] = {name: entry.higher_is_better for name, entry in METRICS.items()}


def metric_names(classes: Sequence[str]) -> list[str]:
    """Return the metric columns of results.csv: whole test set first, then `recall_<class>` ... `auc_<class>`."""
    return [*METRICS, *(f"{metric}_{name}" for metric in CLASS_METRICS for name in classes)]


def higher_is_better(name: str) -> bool:
    """Return the direction of a classification metric. Higher is better for every metric of a single class."""
    return HIGHER_IS_BETTER.get(name, True)


def metric_path(name: str, classes: Sequence[str]) -> tuple[str, int | None]:
    """Return the import path of the function of a metric, and the class index (None for the whole test set).

    Raises KeyError, with the name, if there is no such metric for these classes.
    """
    if name in METRICS:
        return METRICS[name].path, None
    metric, _, label = name.partition("_")
    if metric in CLASS_METRICS and label in classes:
        return CLASS_METRICS[metric].path, list(classes).index(label)
    raise KeyError(name)


def range_of(name: str, classes: Sequence[str]) -> tuple[float, float]:
    """Return the lowest and the highest value of a metric; infinite for one that is not built in."""
    try:
        metric_path(name, classes)
    except KeyError:
        return -float("inf"), float("inf")
    return RANGES.get(name, (0.0, 1.0))
