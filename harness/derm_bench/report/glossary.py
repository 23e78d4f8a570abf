"""What the metrics mean, in a sentence each."""

from __future__ import annotations

from collections.abc import Iterable

_TERMS = {
    "accuracy": "Share of test images whose predicted class is the true one; dominated by frequent classes.",
    "balanced_accuracy": "Mean of the classes' recalls: all classes count the same; 1 / classes is guessing.",
    "precision": "Of the images given this label, the share that deserve it.",
    "recall": "Of the images of this class, the share that were recognised (sensitivity).",
    "f1": "Harmonic mean of precision and recall.",
    "specificity_macro": "Mean over classes of the share of other images that were not given the class.",
    "auc": "Chance that an image of the class gets a higher probability for it than another image; "
    "0.5 is guessing.",
    "average_precision_macro": "Area under the precision-recall curve, mean over classes.",
    "pauc_80": "Area under the ROC curve where sensitivity is at least 80%.",
    "log_loss": "Mean of -log(probability of the true class); lower is better.",
    "brier": "Mean squared distance of the probabilities to the truth; lower is better.",
    "ece": "Expected calibration error: how far confidence lies from accuracy; 0 is perfect.",
    "sensitivity_at_0.90": "Sensitivity where specificity is 90%, the threshold being fixed on validation.",
    "fd_domain": "Fréchet distance between features of synthetic and real images, by a small network "
    "trained on this very training split; lower is nearer. Comparable within one split only, and not FID.",
    "kid_domain": "Kernel distance (unbiased) on the same features; lower is nearer, 0 is no difference.",
    "density_domain": "How densely synthetic images lie where real ones are (within their 5th neighbours), on the "
    "same features; other real images reach about 1.",
    "coverage_domain": "Share of real images with a synthetic one nearer than their 5th real neighbour, on the same "
    "features; other real images reach about 0.97.",
    "fid": "Fréchet Inception distance; biased upward for few images, so compare only at equal counts.",
    "kid": "Kernel Inception distance; unbiased, to be preferred for few images.",
    "density": "As density domain, on Inception features.",
    "coverage": "As coverage domain, on Inception features.",
    "prdc_precision": "Share of synthetic images nearer to a real one than its 5th real neighbour is.",
    "prdc_recall": "Share of real images nearer to a synthetic one than its 5th synthetic neighbour is.",
    "inception_score": "Confidence and variety under ImageNet classes; says little about skin.",
}  # fmt: skip
_ALWAYS = {
    "interval": "Student's t over seeds: where the mean would lie if more seeds were run on the same split. "
    "It holds no uncertainty about which patients are in the test set.",
    "Δ": "Paired difference: the same seeds with and without the strategy, subtracted, then averaged.",
}


def glossary(metrics: Iterable[str]) -> list[tuple[str, str]]:
    """(term, meaning) for the metrics of a report, in a fixed order."""
    names = set(metrics)
    used = {term: words for term, words in _TERMS.items() if any(m == term or _of(m, term) for m in names)}
    return [(term.replace("_", " "), words) for term, words in (used | _ALWAYS).items()]


def _of(metric: str, term: str) -> bool:
    return term in {"precision", "recall", "f1", "auc"} and metric.startswith(f"{term}_")
