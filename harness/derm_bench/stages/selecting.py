"""The metric by which a training selects on validation: a built-in formula, or a metric plugin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from derm_bench.protocols import Task
from derm_bench.scoring.predictions import Predictions, metric_at

if TYPE_CHECKING:
    import numpy as np

    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext
    from derm_bench.training.selection import Score


def primary_metric(context: StageContext, classes: Sequence[str]) -> Score:
    """A function that computes the primary metric from (labels, probabilities, groups) of the validation images.

    The validation images are used as the test set and also determine thresholds. Only the formula of the primary metric
    is part of the training's key, not those of other metrics.
    """
    params: p.Train = context.params
    primary, names = params.primary, tuple(classes)
    if "function" in primary:
        formula = metric_at(primary["function"], primary["of_class"])

        def built_in(labels: np.ndarray, proba: np.ndarray, groups: Sequence[str]) -> float:
            return formula(Predictions.checked(labels, proba, names, val_labels=labels, val_proba=proba))

        return built_in
    metric = context.metric(primary["metric"], context.local.get("primary", {}), Task(names, params.size))

    def of_plugin(labels: np.ndarray, proba: np.ndarray, groups: Sequence[str]) -> float:
        return float(metric.compute(labels, proba, groups, names)[primary["name"]])

    return of_plugin
