"""Classification metrics from labels and probabilities, ROC points, Student's t interval. Imports no torch.

Labels are class indices int [N]; probabilities float64 [N,K] with rows that sum to 1; one-vs-rest (OvR) turns
class k into positives `label == k` scored by `proba[:, k]`. Macro scores are plain means over the classes
that have test images. Classes without any are left out of macro scores, and their own values are NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from derm_bench.errors import Diverged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

HIGHER_IS_BETTER: Mapping[str, bool] = {
    "accuracy": True,
    "balanced_accuracy": True,
    "precision_macro": True,
    "recall_macro": True,
    "f1_macro": True,
    "precision_weighted": True,
    "recall_weighted": True,
    "f1_weighted": True,
    "specificity_macro": True,
    "auc_macro": True,
    "average_precision_macro": True,
    "pauc_80": True,
    "log_loss": False,
    "brier": False,
    "ece": False,
    "sensitivity_at_0.90": True,
}
"""The metrics of a whole test set, in the order of results.csv."""

PER_CLASS = ("recall", "precision", "f1", "auc")
ECE_BINS = 15
PAUC_MIN_TPR = 0.80
SPECIFICITY = 0.90


def metric_names(classes: Sequence[str]) -> list[str]:
    """Columns of results.csv: the metrics of the whole test set, then `recall_<class>` ... `auc_<class>`."""
    return [*HIGHER_IS_BETTER, *(f"{metric}_{name}" for metric in PER_CLASS for name in classes)]


def higher_is_better(name: str) -> bool:
    """Direction of a classification metric; every per-class one is better when higher."""
    return HIGHER_IS_BETTER.get(name, True)


def classification_metrics(
    labels: ArrayLike,
    proba: ArrayLike,
    classes: Sequence[str],
    *,
    val_labels: ArrayLike | None = None,
    val_proba: ArrayLike | None = None,
) -> dict[str, float]:
    """All classification metrics of one test set, `metric_names(classes)` as keys.

    labels: int [N] in 0..K-1; proba: float64 [N,K]. The prediction is the first largest probability.

    - precision, recall, F1 of a class: TP/(TP+FP), TP/(TP+FN), 2TP/(2TP+FP+FN); a class with test images that
      is never predicted has precision 0. `_weighted` weighs classes by their test images.
    - balanced_accuracy: mean recall. specificity_macro: mean TN/(TN+FP).
    - auc_macro, average_precision_macro: OvR over classes with both labels present; ties count half in
      the AUC; average precision is the step sum of (R_i - R_{i-1}) P_i.
    - pauc_80: OvR area between the ROC curve and the line TPR = 0.8, the mean over classes, in [0, 0.2].
    - log_loss: mean of -ln p[label], p clipped to float64's epsilon. brier: mean of the sum over classes of
      (p_k - y_k)^2, in [0, 2].
    - ece: sum over 15 equal-mass bins of the largest probability of |bin|/N * |accuracy - mean confidence|.
    - sensitivity_at_0.90: OvR sensitivity at the lowest threshold that gives at least 90% specificity on
      validation; NaN without validation.

    Raises Diverged for NaN or infinite probabilities, ValueError for other arrays than described.
    """
    import numpy as np

    y, p = _checked(labels, proba, len(classes))
    table = confusion(y, p.argmax(1), len(classes))
    values = _from_confusion(table, classes)
    values |= _ranking(y, p, classes, present=table.sum(1) > 0)
    true_p = np.clip(p[np.arange(len(y)), y], np.finfo(np.float64).eps, 1.0)
    values["log_loss"] = float(-np.log(true_p).mean())
    values["brier"] = float(((p - np.eye(len(classes))[y]) ** 2).sum(1).mean())
    values["ece"] = expected_calibration_error(y, p)
    values["sensitivity_at_0.90"] = math.nan
    if val_labels is not None and val_proba is not None and np.size(val_labels):
        val_y, val_p = _checked(val_labels, val_proba, len(classes))
        values["sensitivity_at_0.90"] = _sensitivity_at(SPECIFICITY, y, p, val_y, val_p)
    return {name: values[name] for name in metric_names(classes)}


def confusion(labels: ArrayLike, predicted: ArrayLike, k: int) -> Ints:
    """Counts int64 [k,k]: row is the true class, column the predicted one."""
    import numpy as np

    pairs = np.asarray(labels, np.int64) * k + np.asarray(predicted, np.int64)
    return np.bincount(pairs, minlength=k * k).reshape(k, k).astype(np.int64)


def roc_points(labels: ArrayLike, proba: ArrayLike, k: int) -> tuple[Floats, Floats]:
    """False and true positive rates (float64, from 0 to 1; one step for tied scores), class k against others.

    Raises ValueError where class k has no positives or no negatives.
    """
    import numpy as np

    positive = np.asarray(labels) == k
    hits, alarms = _cumulative(positive, np.asarray(proba, np.float64)[:, k])
    if not hits[-1] or not alarms[-1]:
        raise ValueError(f"class {k} needs positives and negatives for a ROC curve")
    return np.r_[0.0, alarms / alarms[-1]], np.r_[0.0, hits / hits[-1]]


def expected_calibration_error(labels: ArrayLike, proba: ArrayLike, bins: int = ECE_BINS) -> float:
    """Calibration error of the top label over equal-mass bins; equal confidences share a bin, so the order of
    the images does not matter. In [0, 1]."""
    import numpy as np

    p = np.asarray(proba, np.float64)
    confidence = p.max(1)
    gap = (p.argmax(1) == np.asarray(labels)) - confidence
    edges = np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    where = np.searchsorted(edges, confidence, side="right")
    return float(np.abs(np.bincount(where, weights=gap, minlength=bins)).sum() / len(p))


def t_interval(values: ArrayLike, alpha: float = 0.05) -> tuple[float, float, int, float, float]:
    """(mean, sample standard deviation, n, low, high) with Student's t on n - 1 degrees of freedom.

    One value has no spread: deviation and bounds are NaN. A NaN among the values makes all of them NaN.
    """
    import numpy as np
    from scipy.special import stdtrit

    x = np.asarray(values, np.float64)
    n = len(x)
    mean = float(x.mean()) if n else math.nan
    if n < 2:
        return mean, math.nan, n, math.nan, math.nan
    std = float(x.std(ddof=1))
    half = float(stdtrit(n - 1, 1 - alpha / 2)) * std / math.sqrt(n)
    return mean, std, n, mean - half, mean + half


def _checked(labels: ArrayLike, proba: ArrayLike, k: int) -> tuple[Ints, Floats]:
    import numpy as np

    y, p = np.asarray(labels), np.asarray(proba, np.float64)
    if p.ndim != 2 or p.shape[1] != k or y.shape != p.shape[:1] or not len(y):
        raise ValueError(
            f"expected labels [N] and probabilities [N,{k}], N >= 1; got {y.shape} and {p.shape}"
        )
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= k:
        raise ValueError(f"labels must be integers from 0 to {k - 1}")
    broken = ~np.isfinite(p).all(1)
    if broken.any():
        raise Diverged(f"probabilities of {int(broken.sum())} of {len(p)} images are NaN or infinite")
    sums = p.sum(1)
    if p.min() < 0 or np.abs(sums - 1).max() > 1e-4:
        worst = float(sums[np.abs(sums - 1).argmax()])
        raise ValueError(
            f"each row of probabilities must be >= 0 and sum to 1; lowest {p.min():.6g}, sum {worst:.6g}"
        )
    return y.astype(np.int64), p


def _from_confusion(table: Ints, classes: Sequence[str]) -> dict[str, float]:
    """What the counts alone decide."""
    import numpy as np

    n = int(table.sum())
    hit, actual, predicted = np.diag(table), table.sum(1), table.sum(0)
    present = actual > 0
    recall = hit / np.where(present, actual, 1)
    precision = hit / np.maximum(predicted, 1)
    f1 = 2 * hit / np.maximum(actual + predicted, 1)
    values = {"accuracy": float(hit.sum() / n), "balanced_accuracy": float(recall[present].mean())}
    for metric, scores in (("recall", recall), ("precision", precision), ("f1", f1)):
        values[f"{metric}_macro"] = float(scores[present].mean())
        values[f"{metric}_weighted"] = float((scores * actual).sum() / n)
        for name, score, here in zip(classes, scores, present, strict=True):
            values[f"{metric}_{name}"] = float(score) if here else math.nan
    negatives = n - actual
    rejected = (negatives - (predicted - hit))[present] / np.maximum(negatives[present], 1)
    values["specificity_macro"] = float(rejected.mean()) if (negatives[present] > 0).all() else math.nan
    return values


def _ranking(labels: Ints, proba: Floats, classes: Sequence[str], present: Flags) -> dict[str, float]:
    """The OvR scores of rankings; NaN where no class has positives and negatives."""
    import numpy as np

    values = {f"auc_{name}": math.nan for name in classes}
    auc, precision, partial = [], [], []
    for k, name in enumerate(classes):
        if not present[k] or (labels == k).all():
            continue
        fpr, tpr = roc_points(labels, proba, k)
        values[f"auc_{name}"] = float(np.trapezoid(tpr, fpr))
        auc.append(values[f"auc_{name}"])
        precision.append(_average_precision(labels == k, proba[:, k]))
        partial.append(_area_above(fpr, tpr, PAUC_MIN_TPR))
    values["auc_macro"] = _mean(auc)
    values["average_precision_macro"] = _mean(precision)
    values["pauc_80"] = _mean(partial)
    return values


def _cumulative(positive: Flags, score: Floats) -> tuple[Floats, Floats]:
    """True and false positives when all scores at least as high as each distinct score count as positive."""
    import numpy as np

    order = np.argsort(-score, kind="stable")
    last_of_tie = np.r_[np.flatnonzero(np.diff(score[order])), len(score) - 1]
    hits = np.cumsum(positive[order])[last_of_tie].astype(np.float64)
    return hits, last_of_tie + 1 - hits


def _average_precision(positive: Flags, score: Floats) -> float:
    import numpy as np

    hits, alarms = _cumulative(positive, score)
    return float((np.diff(hits, prepend=0.0) / hits[-1] * hits / (hits + alarms)).sum())


def _area_above(fpr: Floats, tpr: Floats, floor: float) -> float:
    """Integral of 1 - FPR over TPR from `floor` to 1, FPR linear between the points of the curve."""
    import numpy as np

    first = int(np.searchsorted(tpr, floor))
    t0, f0 = tpr[first - 1], fpr[first - 1]
    cut = f0 + (fpr[first] - f0) * (floor - t0) / (tpr[first] - t0)
    return float(np.trapezoid(1 - np.r_[cut, fpr[first:]], np.r_[floor, tpr[first:]]))


def _sensitivity_at(specificity: float, y: Ints, p: Floats, val_y: Ints, val_p: Floats) -> float:
    """Share of positives at or above the threshold, a mean over classes with validation negatives.

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
    return _mean(shares)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
