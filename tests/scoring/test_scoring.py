"""Classification metrics agree with scikit-learn and with definitions written out by hand."""

import ast
import importlib
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from derm_bench.errors import Diverged
from derm_bench.plan import closure
from derm_bench.scoring import (
    HIGHER_IS_BETTER,
    METRICS,
    Predictions,
    classification_metrics,
    confusion,
    higher_is_better,
    metric_names,
    metric_of,
    metric_path,
    roc_points,
    t_interval,
)

CLASSES = ("mel", "nv", "bcc")
ORIGINAL = closure._parsed


@pytest.fixture(params=["continuous", "tied"])
def predictions(request):
    rng = np.random.default_rng(3)
    labels = rng.choice(3, 400, p=[0.2, 0.7, 0.1])
    logits = rng.normal(size=(400, 3)) + 1.2 * np.eye(3)[labels]
    if request.param == "tied":
        logits = np.round(logits)
    proba = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return labels, proba


def test_names_are_those_of_the_contract():
    whole = """accuracy balanced_accuracy precision_macro recall_macro f1_macro precision_weighted
        recall_weighted f1_weighted specificity_macro auc_macro average_precision_macro pauc_80 log_loss brier
        ece sensitivity_at_0.90"""
    names = whole.split()
    assert list(HIGHER_IS_BETTER) == names
    assert metric_names(["a"])[len(names) :] == ["recall_a", "precision_a", "f1_a", "auc_a"]
    assert not higher_is_better("ece") and higher_is_better("auc_a")


def test_metrics_agree_with_scikit_learn(predictions):
    y, p = predictions
    got = classification_metrics(y, p, CLASSES)
    guess, onehot = p.argmax(1), np.eye(3)[y]
    assert list(got) == metric_names(CLASSES)
    expected = {
        "accuracy": sk.accuracy_score(y, guess),
        "balanced_accuracy": sk.balanced_accuracy_score(y, guess),
        "auc_macro": sk.roc_auc_score(y, p, multi_class="ovr"),
        "average_precision_macro": sk.average_precision_score(onehot, p, average="macro"),
        "log_loss": sk.log_loss(y, p),
        "brier": ((p - onehot) ** 2).sum(1).mean(),
    }
    for average in ("macro", "weighted"):
        values = sk.precision_recall_fscore_support(y, guess, average=average)[:3]
        expected |= {f"{m}_{average}": v for m, v in zip(("precision", "recall", "f1"), values, strict=True)}
    for k, name in enumerate(CLASSES):
        expected[f"recall_{name}"] = sk.recall_score(y == k, guess == k)
        expected[f"precision_{name}"] = sk.precision_score(y == k, guess == k)
        expected[f"f1_{name}"] = sk.f1_score(y == k, guess == k)
        expected[f"auc_{name}"] = sk.roc_auc_score(y == k, p[:, k])
    expected["specificity_macro"] = np.mean([sk.recall_score(y != k, guess != k) for k in range(3)])
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, abs=1e-12), name


def test_pauc_is_the_area_between_the_curve_and_tpr_80(predictions):
    y, p = predictions
    areas = []
    for k in range(3):
        fpr, tpr, _ = sk.roc_curve(y != k, -p[:, k])
        stop = np.searchsorted(fpr, 0.2, "right")
        areas.append(sk.auc(np.r_[fpr[:stop], 0.2], np.r_[tpr[:stop], np.interp(0.2, fpr, tpr)]))
    assert classification_metrics(y, p, CLASSES)["pauc_80"] == pytest.approx(np.mean(areas), abs=1e-12)
    assert classification_metrics(y, np.eye(3)[y], CLASSES)["pauc_80"] == pytest.approx(0.2)


def test_ece_by_hand_over_equal_mass_bins():
    rng = np.random.default_rng(0)
    top = rng.permutation(np.linspace(0.5, 0.99, 150))
    y = rng.integers(0, 2, 150)
    order = np.argsort(top)
    total = 0.0
    for members in np.split(order, 15):
        total += len(members) / 150 * abs(np.mean(y[members] == 0) - np.mean(top[members]))
    got = classification_metrics(y, np.c_[top, 1 - top], ("a", "b"))["ece"]
    assert got == pytest.approx(total, abs=1e-12)


def test_scores_do_not_depend_on_the_order_of_images(predictions):
    y, p = predictions
    order = np.random.default_rng(1).permutation(len(y))
    a = classification_metrics(y, p, CLASSES, val_labels=y, val_proba=p)
    b = classification_metrics(y[order], p[order], CLASSES, val_labels=y, val_proba=p)
    assert a == pytest.approx(b, abs=1e-12)


def test_sensitivity_uses_the_threshold_that_validation_fixed():
    val_y = np.r_[np.zeros(10, int), np.ones(10, int)]
    val_score = np.r_[np.arange(10) / 20, np.ones(10)]  # negatives 0, .05, ..., .45: one reaches .45
    y = np.r_[np.ones(4, int), np.zeros(3, int)]
    score = np.array([0.40, 0.41, 0.9, 0.1, 0.0, 0.2, 0.3])
    got = classification_metrics(
        y, np.c_[1 - score, score], ("a", "b"), val_labels=val_y, val_proba=np.c_[1 - val_score, val_score]
    )
    # Class b: one of four reaches .45. Class a: no negative reaches .55, its lowest score; all three do.
    assert got["sensitivity_at_0.90"] == pytest.approx((0.25 + 1.0) / 2)
    assert math.isnan(classification_metrics(y, np.c_[1 - score, score], ("a", "b"))["sensitivity_at_0.90"])


def test_classes_without_test_images_are_left_out():
    y = np.array([0, 0, 1, 1])
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1]])
    got = classification_metrics(y, p, CLASSES)
    assert got["balanced_accuracy"] == got["recall_macro"] == pytest.approx(0.75)
    assert got["precision_macro"] == pytest.approx(1.0)
    assert got["auc_macro"] == pytest.approx((got["auc_mel"] + got["auc_nv"]) / 2)
    assert all(math.isnan(got[f"{m}_bcc"]) for m in ("recall", "precision", "f1", "auc"))
    assert math.isfinite(got["specificity_macro"])


def test_a_test_set_of_one_class_has_accuracy_but_no_ranking():
    got = classification_metrics([1, 1], [[0.2, 0.8, 0.0], [0.6, 0.4, 0.0]], CLASSES)
    assert got["accuracy"] == got["balanced_accuracy"] == 0.5
    assert all(
        math.isnan(got[m]) for m in ("auc_macro", "average_precision_macro", "pauc_80", "specificity_macro")
    )


def test_broken_probabilities_are_refused():
    with pytest.raises(Diverged, match="1 of 2 images are NaN"):
        classification_metrics([0, 1], [[0.5, 0.5], [math.nan, 1]], ("a", "b"))
    with pytest.raises(ValueError, match=r"sum to 1; lowest 0\.5, sum 1\.2"):
        classification_metrics([0, 1], [[0.5, 0.5], [0.6, 0.6]], ("a", "b"))
    with pytest.raises(ValueError, match=r"sum to 1; lowest -0\.5"):
        classification_metrics([0], [[1.5, -0.5]], ("a", "b"))
    with pytest.raises(ValueError, match="integers from 0 to 1"):
        classification_metrics([2], [[0.5, 0.5]], ("a", "b"))
    with pytest.raises(ValueError, match=r"\[N,2\]"):
        classification_metrics([], np.zeros((0, 2)), ("a", "b"))


def test_certain_and_wrong_has_a_finite_log_loss():
    assert classification_metrics([0], [[0.0, 1.0]], ("a", "b"))["log_loss"] == pytest.approx(36.04, abs=0.01)


def test_confusion_and_roc_agree_with_scikit_learn(predictions):
    y, p = predictions
    guess = p.argmax(1)
    assert (confusion(y, guess, 4)[:3, :3] == sk.confusion_matrix(y, guess)).all()
    assert confusion(y, guess, 4)[3].sum() == 0
    fpr, tpr = roc_points(y, p, 0)
    want_fpr, want_tpr, _ = sk.roc_curve(y == 0, p[:, 0], drop_intermediate=False)
    assert np.allclose(fpr, want_fpr) and np.allclose(tpr, want_tpr)
    with pytest.raises(ValueError, match="positives and negatives"):
        roc_points(np.zeros(len(y), int), p, 1)


def test_t_interval_is_students():
    x = [0.71, 0.74, 0.69, 0.73]
    mean, std, n, low, high = t_interval(x, alpha=0.1)
    want = stats.t.interval(0.9, 3, np.mean(x), stats.sem(x))
    assert (mean, std, n) == (pytest.approx(np.mean(x)), pytest.approx(np.std(x, ddof=1)), 4)
    assert (low, high) == pytest.approx(want)
    assert t_interval([0.5])[0] == 0.5 and math.isnan(t_interval([0.5])[3])
    assert math.isnan(t_interval([0.5, math.nan])[0])


def test_importing_scoring_is_light():
    heavy = "('torch', 'numpy', 'sklearn', 'scipy')"
    code = f"import sys, derm_bench.scoring; print([m for m in {heavy} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


# --------------------------------------------------------------------------------- single metrics


def test_each_metric_by_name_is_the_one_among_all(predictions):
    y, p = predictions
    rng = np.random.default_rng(5)
    val = {"val_labels": rng.integers(0, 3, 60), "val_proba": rng.dirichlet(np.ones(3), 60)}
    found = classification_metrics(y, p, CLASSES, **val)
    for name in metric_names(CLASSES):
        alone = metric_of(name, CLASSES)(Predictions.checked(y, p, CLASSES, **val))
        assert alone == found[name], name  # to the last digit


@pytest.mark.parametrize("name", ["recall_nosuch", "f1", "auc", "fid", "macro_auc", "recall"])
def test_a_metric_that_these_classes_do_not_have_is_refused_by_name(name):
    with pytest.raises(KeyError, match=name):
        metric_path(name, CLASSES)


def test_a_class_whose_name_reads_like_a_metric_keeps_its_own():
    assert metric_path("recall_macro", ("macro", "b")) == metric_path("recall_macro", CLASSES)
    assert metric_path("auc_b_c", ("a", "b_c")) == ("derm_bench.scoring.ranking:auc", 1)


def test_every_metric_lies_in_a_module_that_imports_no_other():
    paths = {path.partition(":")[0] for path, _ in (metric_path(n, CLASSES) for n in metric_names(CLASSES))}
    assert len(paths) == 4
    for module in paths:
        tree = ast.parse(Path(importlib.import_module(module).__file__).read_text())
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        ours = {name for name in imported if name.startswith("derm_bench")}
        assert ours <= {"derm_bench.scoring.predictions"}, module


def test_the_source_of_every_metric_is_under_the_digest_of_all_of_them(monkeypatch):
    parsed = []
    monkeypatch.setattr(closure, "_parsed", lambda path, name: parsed.append(name) or ORIGINAL(path, name))
    closure.source_closure.__wrapped__("derm_bench.scoring.classification:classification_metrics")
    assert {path.partition(":")[0] for path, _ in METRICS.values()} < set(parsed)


def test_what_metrics_share_is_computed_once():
    calls = []
    made = Predictions.checked([0, 1], np.eye(2), ("a", "b"))

    def count(predictions, k):
        calls.append(k)
        return k

    assert [made.once(count, k) for k in (0, 1, 0)] == [0, 1, 0] and calls == [0, 1]
