"""Ranking metrics of one class against the others (OvR): the positives of class k are `label == k`, and the score is
the probability of k. Macro scores are unweighted means over the classes that have positives and negatives; NaN if there
are none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from derm_bench.scoring.predictions import mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from derm_bench.scoring.predictions import Flags, Floats, Predictions

PAUC_MIN_TPR = 0.80


def auc_macro(predictions: Predictions) -> float:
    """Return the area under the ROC curve; ties count half."""
    return mean([auc(predictions, k) for k in _ranked_classes(predictions)])


def auc(predictions: Predictions, k: int) -> float:
    """Return the area under the ROC curve of class k; NaN without positives or negatives."""
    import numpy as np

    if k not in _ranked_classes(predictions):
        return math.nan
    fpr, tpr = predictions.once(_roc, k)
    return float(np.trapezoid(tpr, fpr))


def average_precision_macro(predictions: Predictions) -> float:
    """Return the step sum of (R_i - R_{i-1}) P_i over the thresholds."""
    return mean([_average_precision(predictions, k) for k in _ranked_classes(predictions)])


def pauc_80(predictions: Predictions) -> float:
    """Return the area between the ROC curve and the line TPR = 0.8, in [0, 0.2]."""
    curves = [predictions.once(_roc, k) for k in _ranked_classes(predictions)]
    return mean([_area_above(fpr, tpr, PAUC_MIN_TPR) for fpr, tpr in curves])


def roc_points(labels: ArrayLike, proba: ArrayLike, k: int) -> tuple[Floats, Floats]:
    """Return false and true positive rates of class k against the others (float64, from 0 to 1; one step per tied
    score).

    Raises ValueError if class k has no positives or no negatives.
    """
    import numpy as np

    hits, alarms = _cumulative(np.asarray(labels) == k, np.asarray(proba, np.float64)[:, k])
    if not hits[-1] or not alarms[-1]:
        raise ValueError(f"class {k} needs positives and negatives for a ROC curve")
    return np.r_[0.0, alarms / alarms[-1]], np.r_[0.0, hits / hits[-1]]


def _ranked_classes(predictions: Predictions) -> list[int]:
    """Return the classes with positives and negatives."""
    positives = [(k, predictions.labels == k) for k in range(len(predictions.classes))]
    return [k for k, positive in positives if positive.any() and not positive.all()]


def _roc(predictions: Predictions, k: int) -> tuple[Floats, Floats]:
    return roc_points(predictions.labels, predictions.proba, k)


def _cumulative(positive: Flags, score: Floats) -> tuple[Floats, Floats]:
    """Return the numbers of true and false positives at each distinct score as the threshold (inclusive)."""
    import numpy as np

    order = np.argsort(-score, kind="stable")
    last_of_tie = np.r_[np.flatnonzero(np.diff(score[order])), len(score) - 1]
    hits = np.cumsum(positive[order])[last_of_tie].astype(np.float64)
    return hits, last_of_tie + 1 - hits


def _average_precision(predictions: Predictions, k: int) -> float:
    import numpy as np

    hits, alarms = _cumulative(predictions.labels == k, predictions.proba[:, k])
    return float((np.diff(hits, prepend=0.0) / hits[-1] * hits / (hits + alarms)).sum())


def _area_above(fpr: Floats, tpr: Floats, floor: float) -> float:
    """Return the integral of 1 - FPR over TPR from `floor` to 1, with FPR linear between the points of the curve."""
    import numpy as np

    first = int(np.searchsorted(tpr, floor))
    t0, f0 = tpr[first - 1], fpr[first - 1]
    cut = f0 + (fpr[first] - f0) * (floor - t0) / (tpr[first] - t0)
    return float(np.trapezoid(1 - np.r_[cut, fpr[first:]], np.r_[floor, tpr[first:]]))
