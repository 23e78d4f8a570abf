"""Metrics at a threshold that is determined on the validation images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from derm_bench.scoring.predictions import mean

if TYPE_CHECKING:
    from derm_bench.scoring.predictions import Floats, Ints, Predictions

SPECIFICITY = 0.90


def sensitivity_at_90(predictions: Predictions) -> float:
    """Return the OvR sensitivity at the lowest threshold with at least 90% specificity on the validation images,
    averaged over classes with validation negatives; NaN without validation images."""
    if predictions.val_labels is None or predictions.val_proba is None:
        return math.nan
    validation = predictions.val_labels, predictions.val_proba
    return _sensitivity_at(SPECIFICITY, predictions.labels, predictions.proba, *validation)


def _sensitivity_at(specificity: float, y: Ints, p: Floats, val_y: Ints, val_p: Floats) -> float:
    """Return the share of positives at or above the threshold, averaged over classes with validation negatives.

    The threshold is the lowest validation score that at most 1 - specificity of the negatives reach: the last point
    of scikit-learn's `roc_curve(..., drop_intermediate=False)` with FPR <= 1 - specificity.
    """
    import numpy as np

    shares = []
    for k in range(p.shape[1]):
        negatives = np.sort(val_p[val_y != k, k])
        positives = p[y == k, k]
        if len(negatives) and len(positives):
            scores = np.unique(val_p[:, k])
            reached = len(negatives) - np.searchsorted(negatives, scores, side="left")
            allowed = scores[reached <= (1 - specificity) * len(negatives) + 1e-9]
            shares.append(float((positives >= allowed[0]).mean()) if len(allowed) else 0.0)
    return mean(shares)
