"""Classification metrics of labels and probabilities, their names and directions, and Student's t interval.

This package does not import torch, and imports numpy only when a metric is computed. Macro scores are unweighted means
over the classes that have test images. The values of a class without test images are NaN.
"""

from __future__ import annotations

from derm_bench.scoring.classification import classification_metrics, metric_of
from derm_bench.scoring.confusion_matrix import confusion
from derm_bench.scoring.intervals import t_interval
from derm_bench.scoring.names import (
    HIGHER_IS_BETTER,
    METRICS,
    PER_CLASS,
    higher_is_better,
    metric_names,
    metric_path,
)
from derm_bench.scoring.predictions import Predictions, metric_at
from derm_bench.scoring.probabilities import expected_calibration_error
from derm_bench.scoring.ranking import roc_points

__all__ = [
    "HIGHER_IS_BETTER",
    "METRICS",
    "PER_CLASS",
    "Predictions",
    "classification_metrics",
    "confusion",
    "expected_calibration_error",
    "higher_is_better",
    "metric_at",
    "metric_names",
    "metric_of",
    "metric_path",
    "roc_points",
    "t_interval",
]
