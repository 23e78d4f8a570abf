"""All classification metrics of a test set, and single metrics by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from derm_bench.scoring.names import metric_names, metric_path
from derm_bench.scoring.predictions import Predictions, metric_at

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def metric_of(name: str, classes: Sequence[str]) -> Callable[[Predictions], float]:
    """Return the metric `name` for a data set with these classes. Raises KeyError if there is no such metric."""
    return metric_at(*metric_path(name, classes))


def classification_metrics(
    labels: ArrayLike,
    proba: ArrayLike,
    classes: Sequence[str],
    *,
    val_labels: ArrayLike | None = None,
    val_proba: ArrayLike | None = None,
) -> dict[str, float]:
    """Return all classification metrics of one test set, with `metric_names(classes)` as keys. Undefined metrics are
    NaN. The metrics are defined in the modules `confusion_matrix`, `ranking`, `probabilities` and `operating_points`.

    labels: int [N] in 0..K-1. proba: float64 [N,K], whose rows sum to 1. val_labels, val_proba: the same for the
    validation images, which determine the threshold of `sensitivity_at_0.90` (NaN without them).
    Raises Diverged for NaN or infinite probabilities, and ValueError for invalid arrays.
    """
    predictions = Predictions.checked(labels, proba, classes, val_labels, val_proba)
    return {name: metric_of(name, classes)(predictions) for name in metric_names(classes)}
