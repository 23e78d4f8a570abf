"""Metrics of the confusion matrix: accuracy, recall, precision, F1, specificity.

For one class: recall TP/(TP+FN), precision TP/(TP+FP), F1 2TP/(2TP+FP+FN), specificity TN/(TN+FP). A class with test
images that is never predicted has precision 0. `_macro` is the unweighted mean over the classes with test
images, and `_weighted` weights classes by their number of test images. The values of a class without test images are
NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from derm_bench.scoring.predictions import Flags, Floats, Ints, Predictions


def confusion(labels: ArrayLike, predicted: ArrayLike, k: int) -> Ints:
    """Return counts int64 [k,k]: rows are true classes, columns predicted classes."""
    import numpy as np

    pairs = np.asarray(labels, np.int64) * k + np.asarray(predicted, np.int64)
    return np.bincount(pairs, minlength=k * k).reshape(k, k).astype(np.int64)


def accuracy(predictions: Predictions) -> float:
    counts = predictions.once(_counts)
    return float(counts.hit.sum() / counts.n)


def balanced_accuracy(predictions: Predictions) -> float:
    """Return the same value as `recall_macro`."""
    return recall_macro(predictions)


def recall_macro(predictions: Predictions) -> float:
    return _macro(predictions, predictions.once(_counts).recall)


def precision_macro(predictions: Predictions) -> float:
    return _macro(predictions, predictions.once(_counts).precision)


def f1_macro(predictions: Predictions) -> float:
    return _macro(predictions, predictions.once(_counts).f1)


def recall_weighted(predictions: Predictions) -> float:
    return _weighted(predictions, predictions.once(_counts).recall)


def precision_weighted(predictions: Predictions) -> float:
    return _weighted(predictions, predictions.once(_counts).precision)


def f1_weighted(predictions: Predictions) -> float:
    return _weighted(predictions, predictions.once(_counts).f1)


def specificity_macro(predictions: Predictions) -> float:
    """Return the macro specificity; NaN if all images are of one class."""
    import numpy as np

    counts = predictions.once(_counts)
    negatives = (counts.n - counts.actual)[counts.present]
    false_positives = (counts.predicted - counts.hit)[counts.present]
    rejected = (negatives - false_positives) / np.maximum(negatives, 1)
    return float(rejected.mean()) if (negatives > 0).all() else math.nan


def recall(predictions: Predictions, k: int) -> float:
    return _of_class(predictions, predictions.once(_counts).recall, k)


def precision(predictions: Predictions, k: int) -> float:
    return _of_class(predictions, predictions.once(_counts).precision, k)


def f1(predictions: Predictions, k: int) -> float:
    return _of_class(predictions, predictions.once(_counts).f1, k)


class _Counts(NamedTuple):
    """Counts of images for each class, and the scores computed from them."""

    n: int
    hit: Ints
    actual: Ints
    predicted: Ints
    present: Flags
    recall: Floats
    precision: Floats
    f1: Floats


def _counts(predictions: Predictions) -> _Counts:
    import numpy as np

    table = confusion(predictions.labels, predictions.proba.argmax(1), len(predictions.classes))
    hit, actual, predicted = np.diag(table), table.sum(1), table.sum(0)
    present = actual > 0
    return _Counts(
        int(table.sum()),
        hit,
        actual,
        predicted,
        present,
        recall=hit / np.where(present, actual, 1),
        precision=hit / np.maximum(predicted, 1),
        f1=2 * hit / np.maximum(actual + predicted, 1),
    )


def _macro(predictions: Predictions, scores: Floats) -> float:
    return float(scores[predictions.once(_counts).present].mean())


def _weighted(predictions: Predictions, scores: Floats) -> float:
    counts = predictions.once(_counts)
    return float((scores * counts.actual).sum() / counts.n)


def _of_class(predictions: Predictions, scores: Floats, k: int) -> float:
    return float(scores[k]) if predictions.once(_counts).present[k] else math.nan
