"""The metric by which a training selects on validation: a built-in one by its formula alone, or a plugin's."""

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
    """(labels, probabilities, groups) of the validation images -> the primary metric. Validation stands for the test
    set, and fixes thresholds as well. Its formula is under the training's key, those of other metrics are not."""
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
