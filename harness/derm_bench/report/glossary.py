"""The meaning of each metric in one sentence."""

from __future__ import annotations

from collections.abc import Iterable

_TERMS = {
    "accuracy": "Share of test images whose predicted class is the true one; frequent classes dominate it.",
    "balanced_accuracy": "Mean recall over classes: every class counts the same; guessing gives 1 / classes.",
    "precision": "Of the images that were assigned to a class, the share that belong to it.",
    "recall": "Of the images that belong to a class, the share that were assigned to it (sensitivity).",
    "f1": "Harmonic mean of precision and recall.",
    "specificity_macro": "Of the images of other classes, the share not assigned to a class; mean over classes.",
    "auc": "Area under the ROC curve, one class against the others: the chance that an image of the class has a higher "
    "probability for it than another image; guessing gives 0.5.",
    "average_precision_macro": "Area under the precision-recall curve, mean over classes.",
    "pauc_80": "Area between the ROC curve and the line of 80% sensitivity, mean over classes; at most 0.2.",
    "log_loss": "Mean of -log(probability of the true class); lower is better.",
    "brier": "Mean squared difference of the probabilities to the true class as 0 and 1; lower is better.",
    "ece": "Expected calibration error: mean gap between confidence and accuracy; lower is better.",
    "sensitivity_at_0.90": "Sensitivity at the threshold that gives 90% specificity on validation; mean over classes.",
    "mmd_domain": "Distance of the features of synthetic and real images (maximum mean discrepancy), from small "
    "networks trained on the same training split; lower is better: real images get about 0, and nothing more than 2. "
    "Values of different splits cannot be compared.",
    "nn_accuracy_domain": "How often the nearest neighbour, on the same features, tells a synthetic from a real image; "
    "0.5 is best, 1 means that all can be told apart, and less than 0.5 points to copies.",
    "nn_ratio": "Distance of samples to their nearest training image over that to their nearest held-out image, median "
    "over samples, relative to the same of held-out real images; about 1 is best, and less points to copies.",
    "nn_closer": "Share of samples that are nearer to a training image than to any held-out image, as for equal "
    "numbers of both; 0.5 by chance, and 1 for copies. `_pixels` marks distances of pixels.",
    "authenticity": "Share of samples that are farther from their nearest training image than that image is from its "
    "own nearest one; 0 for copies, and held-out real images show what is usual.",
    "sharpness": "Energy above 3/8 cycles per pixel relative to real images; 1 is best, less is blur, "
    "more is noise or a checkerboard.",
    "cas": "Classification accuracy score: accuracy of a classifier that is trained on samples alone, over that of one "
    "trained on as many real images; 1: samples stand for real images.",
    "reverse_cas": "Balanced accuracy on samples of a classifier that is trained on real images, over that on real "
    "test images; 1: samples look like real images of their class.",
    "fd_domain": "Fréchet distance on the same features; lower is better. It has no upper bound, so that a few images "
    "far from all others decide it, and it is not FID.",
    "kid_domain": "Kernel distance (cubic kernel) on the same features; lower is better, and equal sets give 0.",
    "density_domain": "How many 5th-neighbour balls of real images a synthetic image lies in, over 5, on the same "
    "features; higher is better, and other real images reach about 1.",
    "coverage_domain": "Share of real images with a synthetic one within their 5th-neighbour distance, on the same "
    "features; higher is better, and other real images reach about 0.97.",
    "fid": "Fréchet Inception distance; lower is better. It is biased upwards for few images: compare equal counts.",
    "fd_infinity": "The same, extrapolated to infinitely many images, which takes away most of the bias.",
    "kid": "Kernel Inception distance; lower is better. It is unbiased, which suits few images.",
    "density": "Density as for the domain network, on Inception features, or those of the network that follows in the "
    "name; higher is better.",
    "coverage": "Coverage as for the domain network, on the same features; higher is better.",
    "prdc_precision": "Share of synthetic images within the 5th-neighbour distance of a real one; higher is better.",
    "prdc_recall": "Share of real images within the 5th-neighbour distance of a synthetic one; higher is better.",
    "inception_score": "Confidence and variety of ImageNet predictions; higher is better, but it says little of skin.",
}  # fmt: skip


_ON_NETWORKS = ("fid", "kid", "fd_infinity", "density", "coverage", "prdc_precision", "prdc_recall")
"""Metrics that may be computed on the features of other networks; their names are followed by that of the network."""


def glossary(metrics: Iterable[str], level: str) -> list[tuple[str, str]]:
    """(term, meaning) for the metrics of a report, in a fixed order. level: the coverage of intervals, such as
    `95%`."""
    names = set(metrics)
    used = {term: words for term, words in _TERMS.items() if any(m == term or _of(m, term) for m in names)}
    used["interval"] = (
        f"{level} interval, by Student's t. Of the primary metric, and of its differences, it covers what other seeds "
        "and other test images would give; of other metrics, what other seeds would give on these test images. It "
        "needs three seeds."
    )
    used["Δ"] = "Paired difference: arm minus baseline under the same seeds, then the mean over seeds."
    used["p"] = (
        "Probability of a difference at least as large if the arms were equal; Holm's correction counts all arms."
    )
    used["verdict"] = (
        "Helps, hurts, equivalent (the difference is within the margin), or inconclusive: the run cannot tell."
    )
    used["false claim"] = (
        "Probability that the true difference is zero or has the other sign, where true differences are taken to be "
        "normal around zero with a standard deviation of 2.5 margins."
    )
    return [(term.replace("_", " "), words) for term, words in used.items()]


def _of(metric: str, term: str) -> bool:
    if metric in _TERMS:
        return False
    return term in {"precision", "recall", "f1", "auc", *_ON_NETWORKS} and metric.startswith(f"{term}_")
