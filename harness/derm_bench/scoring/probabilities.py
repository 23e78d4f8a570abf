"""Metrics of the probabilities themselves: log loss, Brier score, calibration error. Lower is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from derm_bench.scoring.predictions import Predictions

ECE_BINS = 15


def log_loss(predictions: Predictions) -> float:
    """Return the mean of -ln p[label], with p clipped to the epsilon of float64."""
    import numpy as np

    y, p = predictions.labels, predictions.proba
    true_p = np.clip(p[np.arange(len(y)), y], np.finfo(np.float64).eps, 1.0)
    return float(-np.log(true_p).mean())


def brier(predictions: Predictions) -> float:
    """Return the mean of the sum over classes of (p_k - y_k)^2, in [0, 2]."""
    import numpy as np

    onehot = np.eye(len(predictions.classes))[predictions.labels]
    return float(((predictions.proba - onehot) ** 2).sum(1).mean())


def ece(predictions: Predictions) -> float:
    """Return `expected_calibration_error` over 15 bins."""
    return expected_calibration_error(predictions.labels, predictions.proba)


def expected_calibration_error(labels: ArrayLike, proba: ArrayLike, bins: int = ECE_BINS) -> float:
    """Return the sum of |bin|/N * |accuracy - mean confidence| over equal-mass bins of the largest probability, in [0,
    1]. Equal confidences share a bin, so that the order of the images does not matter."""
    import numpy as np

    p = np.asarray(proba, np.float64)
    confidence = p.max(1)
    gap = (p.argmax(1) == np.asarray(labels)) - confidence
    edges = np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    where = np.searchsorted(edges, confidence, side="right")
    return float(np.abs(np.bincount(where, weights=gap, minlength=bins)).sum() / len(p))
