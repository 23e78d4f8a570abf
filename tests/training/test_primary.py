"""The primary metric of a matrix as a training stage selects by it."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from derm_bench.scoring import classification_metrics, higher_is_better, metric_names
from derm_bench.scoring.names import metric_path
from derm_bench.stages.train import primary_metric

CLASSES = ("a", "b")
LABELS = np.arange(20) % 2


def selecting(name):
    """The score of a training whose primary metric has this name."""
    function, of_class = metric_path(name, CLASSES)
    primary = {"name": name, "function": function, "of_class": of_class}
    return primary_metric(SimpleNamespace(params=SimpleNamespace(primary=primary)), CLASSES)


def predicted(share):
    """Probabilities that give `share` to the true class of each image."""
    onehot = np.eye(2)[LABELS]
    return onehot * share + (1 - onehot) * (1 - share)


@pytest.mark.parametrize("name", metric_names(CLASSES))
def test_every_classification_metric_can_be_selected_by(name):
    """Validation fixes the threshold of `sensitivity_at_0.90`, so that it is a number."""
    score = selecting(name)
    good, bad = (score(LABELS, predicted(share), tuple(map(str, LABELS))) for share in (0.95, 0.05))
    assert math.isfinite(good) and math.isfinite(bad)
    assert good > bad if higher_is_better(name) else good < bad


def test_scores_are_those_of_all_metrics_with_validation_in_place_of_the_test_set():
    proba = np.random.default_rng(0).dirichlet(np.ones(2), 20)
    expected = classification_metrics(LABELS, proba, CLASSES, val_labels=LABELS, val_proba=proba)
    for name, value in expected.items():
        assert selecting(name)(LABELS, proba, ()) == value
