"""The statistics agree with scipy, statsmodels and scikit-learn, on random input and at the edges."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as sps
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from derm_bench.scoring import Predictions, metric_of
from derm_bench.scoring.influence import influences
from derm_bench.stats.data_sets import critical_difference, over_data_sets, statement, wilcoxon_p
from derm_bench.stats.detectable import Variation, smallest_difference
from derm_bench.stats.estimate import estimate
from derm_bench.stats.families import enough_resamples, holm
from derm_bench.stats.pair_of_models import delong, mcnemar
from derm_bench.stats.test_images import Clusters, of_influences, of_means, of_score

RNG = np.random.default_rng(11)


@pytest.mark.parametrize("p", [RNG.random(9) ** 3, [0.01] * 4, [1.0, 0.0], [0.04], []], ids=len)
def test_holm_is_that_of_statsmodels(p):
    want = multipletests(p, method="holm")[1] if len(p) else []
    assert holm(list(p)) == pytest.approx(list(want))


def test_a_comparison_without_a_test_counts_in_its_family():
    assert holm([0.02, None, 0.5]) == [pytest.approx(0.06), None, pytest.approx(1.0)]
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        holm([1.2])
    assert enough_resamples(3, 0.05) == 1200


@pytest.mark.parametrize("n", [20, 400])
def test_mcnemar_is_that_of_statsmodels(n):
    a, b = RNG.random(n) < 0.7, RNG.random(n) < 0.6
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    exact = table[0][1] + table[1][0] < 25
    assert mcnemar(a, b).p_value == pytest.approx(sm_mcnemar(table, exact=exact).pvalue)
    assert mcnemar(a, a).p_value == 1


def by_pairs(y, scores):
    """The structural components of DeLong by comparing every positive with every negative."""
    psi = (scores[y][:, None] > scores[~y][None]) + 0.5 * (scores[y][:, None] == scores[~y][None])
    return psi.mean(1), psi.mean(0)


@pytest.mark.parametrize("tied", [False, True])
def test_delong_is_that_of_all_pairs_and_its_areas_are_those_of_scikit_learn(tied):
    y = RNG.random(120) < 0.4
    a, b = (y + RNG.normal(size=(2, 120))).round(0 if tied else 8)
    found = delong(y, a, b)
    assert found.first == pytest.approx(roc_auc_score(y, a)) and found.second == pytest.approx(
        roc_auc_score(y, b)
    )
    parts = [by_pairs(y, scores) for scores in (a, b)]
    variance = sum(np.var(parts[0][side] - parts[1][side], ddof=1) / len(parts[0][side]) for side in (0, 1))
    assert found.variance == pytest.approx(variance)
    assert found.p_value == pytest.approx(
        2 * sps.norm.sf(abs(found.first - found.second) / math.sqrt(variance))
    )


def test_delong_of_equal_constant_and_perfect_scores():
    y = np.repeat([True, False], 10)
    assert delong(y, y, y)[2:] == (0, 1) and delong(y, np.ones(20), np.ones(20))[:2] == (0.5, 0.5)
    assert math.isnan(delong(y, y.astype(float), np.zeros(20)).p_value)
    with pytest.raises(ValueError, match="two positives"):
        delong(np.arange(20) == 0, y, y)


def test_seeds_alone_give_students_interval_and_p():
    x = RNG.normal(0.02, 0.01, 6)
    found = estimate(x, {"seed": range(6)})
    assert found.interval(0.05) == pytest.approx(sps.t.interval(0.95, 5, x.mean(), sps.sem(x)))
    assert found.p_value == pytest.approx(sps.ttest_1samp(x, 0).pvalue)


@pytest.mark.parametrize("n", [3, 5, 8])
def test_wilcoxon_is_that_of_scipy_and_says_what_few_data_sets_can_show(n):
    d = RNG.normal(0.5, 1, n)
    assert wilcoxon_p(d) == pytest.approx(sps.wilcoxon(d, method="exact").pvalue)
    assert wilcoxon_p(np.arange(1, n + 1)) == pytest.approx(2 / 2**n)
    assert ("cannot reach p < 0.05" in statement(n)) == (n <= 5)
    assert wilcoxon_p(np.zeros(n)) == 1


def test_ranks_over_data_sets_are_those_of_friedman_and_nemenyi():
    x = RNG.normal(size=(10, 4)) + np.array([0, 0.5, 1, 3])
    found = over_data_sets(x)
    assert found.friedman_p == pytest.approx(sps.friedmanchisquare(*x.T).pvalue)
    assert found.ranks == pytest.approx([sps.rankdata(-x, axis=1)[:, k].mean() for k in range(4)])
    assert critical_difference(4, 10) == pytest.approx(
        2.569 * math.sqrt(4 * 5 / 60), abs=1e-3
    )  # Demsar, table 5
    raw = [sps.wilcoxon(x[:, i] - x[:, j]).pvalue for i, j in itertools.combinations(range(4), 2)]
    assert list(found.p_holm.values()) == pytest.approx(list(multipletests(raw, method="holm")[1]))
    equal = over_data_sets(np.ones((3, 3)))
    assert (equal.friedman_p, equal.ranks) == (1.0, [2, 2, 2])


def test_the_detectable_difference_has_the_stated_power_by_statsmodels():
    quiet = Variation(seed_std=0.02, disagreement=0.0, shared=0.0)  # the seeds alone
    found = smallest_difference({"a": 50, "b": 50}, 6, comparisons=3, variation=quiet)
    assert found.df == 5 and found.standard_error == pytest.approx(0.02 / math.sqrt(6))
    power = TTestPower().power(found.difference / 0.02, 6, 0.05 / 3)
    assert power == pytest.approx(0.8, abs=1e-4)
    assert smallest_difference({"a": 50, "b": 50}, 2) is None
    assert (
        smallest_difference({"a": 400, "b": 400}, 6).difference
        < smallest_difference({"a": 40, "b": 40}, 6).difference
    )


# -------------------------------------------------------------------------- variation over test images


def predicted(n=300, groups=120, seed=0):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    labels = group % 3
    logits = rng.normal(size=(n, 3)) + 1.2 * np.eye(3)[labels] + rng.normal(size=(groups, 3))[group]
    proba = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Predictions.checked(labels, proba, ("a", "b", "c")), Clusters.of(labels, [str(g) for g in group])


CLOSED = ["accuracy", "balanced_accuracy", "auc_macro", "log_loss", "brier", "recall_b", "auc_c"]


@pytest.mark.parametrize("name", CLOSED)
def test_the_closed_form_is_the_cluster_bootstrap(name):
    p, clusters = predicted()
    score = metric_of(name, p.classes)
    closed = of_influences(clusters, influences(name, p).values).vector
    again = of_score(
        clusters, lambda rows: score(Predictions(p.labels[rows], p.proba[rows], p.classes)), draws=600
    )
    assert closed @ closed == pytest.approx(again.vector @ again.vector, rel=0.15)


def test_single_images_of_one_class_have_the_variance_of_a_proportion():
    hits = np.arange(40) < 28
    found = of_means(Clusters.of(np.zeros(40, int), [str(k) for k in range(40)]), hits, [1.0])
    assert found.vector @ found.vector == pytest.approx(np.var(hits, ddof=1) / 40)


def test_images_of_one_lesion_count_as_one():
    once = of_means(Clusters.of([0] * 20, list(map(str, range(20)))), np.arange(20) % 3 == 0, [1.0])
    hits, groups = np.repeat(np.arange(20) % 3 == 0, 5), np.repeat(np.arange(20), 5)
    five = of_means(Clusters.of([0] * 100, list(map(str, groups))), hits, [1.0])
    assert five.vector @ five.vector == pytest.approx(once.vector @ once.vector)


def test_a_metric_without_a_closed_form_has_none():
    p, _ = predicted(60)
    assert influences("ece", p) is None and influences("f1_macro", p) is None
    one = Predictions.checked([0, 0], [[0.5, 0.5], [0.9, 0.1]], ("a", "b"))
    assert influences("auc_macro", one) is None, "one class absent"
