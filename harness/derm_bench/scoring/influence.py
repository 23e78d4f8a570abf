"""How far each image moves a metric: its influence, in closed form for the metrics that have one.

The influence of an image is the derivative of the metric with respect to the weight of the image, where each class
keeps its total weight. The variance of the metric over test sets follows from it (`derm_bench.stats.test_images`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from derm_bench.stats.pair_of_models import placements

if TYPE_CHECKING:
    from derm_bench.scoring.predictions import Floats, Predictions


class Influences(NamedTuple):
    """values: float64 [N], one per image. weights: float64 [K], the weight of each class in the metric."""

    values: Floats
    weights: Floats


def influences(name: str, predictions: Predictions) -> Influences | None:
    """Return the influences of the images on the metric `name`; None if it has no closed form here."""
    if name in _OF_ALL:
        return _OF_ALL[name](predictions)
    stem, _, label = name.partition("_")
    if label in predictions.classes and stem in ("recall", "auc"):
        k = predictions.classes.index(label)
        return (
            _of_class_mean(predictions, _hits(predictions), [k])
            if stem == "recall"
            else _auc(predictions, [k])
        )
    return None


def _hits(predictions: Predictions) -> Floats:
    import numpy as np

    return (predictions.proba.argmax(1) == predictions.labels).astype(np.float64)


def _log_losses(predictions: Predictions) -> Floats:
    import numpy as np

    y, p = predictions.labels, predictions.proba
    return -np.log(np.clip(p[np.arange(len(y)), y], np.finfo(np.float64).eps, 1.0))


def _brier_scores(predictions: Predictions) -> Floats:
    import numpy as np

    onehot = np.eye(len(predictions.classes))[predictions.labels]
    return ((predictions.proba - onehot) ** 2).sum(1)


def _present(predictions: Predictions) -> list[int]:
    import numpy as np

    return [int(k) for k in np.unique(predictions.labels)]


def _of_mean(predictions: Predictions, values: Floats) -> Influences:
    """Of the mean of `values` over all images."""
    import numpy as np

    n = np.bincount(predictions.labels, minlength=len(predictions.classes))
    weights = n / n.sum()
    return Influences(_centred(predictions, values, weights), weights)


def _of_class_mean(predictions: Predictions, values: Floats, classes: list[int]) -> Influences:
    """Of the mean over `classes` of the mean of `values` in each of them."""
    import numpy as np

    weights = np.zeros(len(predictions.classes))
    weights[classes] = 1 / len(classes)
    return Influences(_centred(predictions, values, weights), weights)


def _centred(predictions: Predictions, values: Floats, weights: Floats) -> Floats:
    import numpy as np

    y = predictions.labels
    n = np.maximum(np.bincount(y, minlength=len(weights)), 1)
    means = np.bincount(y, weights=values, minlength=len(weights)) / n
    return (weights / n)[y] * (values - means[y])


def _auc(predictions: Predictions, classes: list[int]) -> Influences | None:
    """Of the mean area under the ROC curves of `classes` (DeLong et al. 1988)."""
    import numpy as np

    y = predictions.labels
    ranked = [k for k in classes if 0 < (y == k).sum() < len(y)]
    if not ranked:
        return None
    total = np.zeros(len(y))
    for k in ranked:
        positive = y == k
        above, below = placements(predictions.proba[:, k], positive)
        total[positive] += (above - above.mean()) / positive.sum() / len(ranked)
        total[~positive] += (below - below.mean()) / (~positive).sum() / len(ranked)
    weights = np.zeros(len(predictions.classes))
    weights[ranked] = 1 / len(ranked)
    return Influences(total, weights)


_OF_ALL: dict[str, Callable[[Predictions], Influences | None]] = {
    "accuracy": lambda p: _of_mean(p, _hits(p)),
    "recall_weighted": lambda p: _of_mean(p, _hits(p)),
    "balanced_accuracy": lambda p: _of_class_mean(p, _hits(p), _present(p)),
    "recall_macro": lambda p: _of_class_mean(p, _hits(p), _present(p)),
    "log_loss": lambda p: _of_mean(p, _log_losses(p)),
    "brier": lambda p: _of_mean(p, _brier_scores(p)),
    "auc_macro": lambda p: _auc(p, list(range(len(p.classes)))),
}
