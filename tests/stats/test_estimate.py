"""Intervals and verdicts: properties that must hold whatever the data, and the rules of a verdict."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derm_bench.stats.estimate import Estimate, estimate, over_splits
from derm_bench.stats.false_claim import false_claim
from derm_bench.stats.ranks import ranks
from derm_bench.stats.seeds import Component, nadeau_bengio, over_axes, satterthwaite
from derm_bench.stats.test_images import Clusters, of_means
from derm_bench.stats.verdict import decide


def differences(seed, seeds=4, n=60, better=0.1):
    """Values and deviations of paired differences on one test set."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    clusters = Clusters.of(labels, [str(k // 4) for k in range(n)], [f"i{k}" for k in range(n)])
    values, deviations = [], []
    for _ in range(seeds):
        a, b = rng.random(n) < 0.7 + better, rng.random(n) < 0.7
        values.append(np.mean([a[labels == k].mean() - b[labels == k].mean() for k in (0, 1)]))
        first, second = (of_means(clusters, hits, [0.5, 0.5]) for hits in (a, b))
        deviations.append(first.minus(second))
    return values, deviations


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(4)))
def test_the_order_of_the_seeds_changes_nothing(seed, order):
    values, deviations = differences(seed)
    one = estimate(values, {"seed": range(4)}, deviations)
    two = estimate([values[k] for k in order], {"seed": order}, [deviations[k] for k in order])
    assert (one.mean, one.variance, one.df) == pytest.approx((two.mean, two.variance, two.df))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(-0.5, 0.5, allow_subnormal=False))
def test_what_is_added_to_both_arms_changes_nothing(seed, constant):
    rng = np.random.default_rng(seed)
    clusters = Clusters.of([0, 1] * 20, list(map(str, range(40))))
    a, b = rng.random((2, 40))
    plain = of_means(clusters, a, [0.5, 0.5]).minus(of_means(clusters, b, [0.5, 0.5]))
    shifted = of_means(clusters, a + constant, [0.5, 0.5]).minus(of_means(clusters, b + constant, [0.5, 0.5]))
    assert plain.vector == pytest.approx(shifted.vector, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_swapped_arms_have_the_mirrored_interval(seed):
    values, deviations = differences(seed)
    swapped = [type(d)(-d.vector, d.ends, d.df, d.images, d.least) for d in deviations]
    low, high = estimate(values, {"seed": range(4)}, deviations).interval(0.05)
    other = estimate([-v for v in values], {"seed": range(4)}, swapped).interval(0.05)
    assert other == pytest.approx((-high, -low))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_the_test_images_never_narrow_an_interval(seed):
    values, deviations = differences(seed)
    assert (
        estimate(values, {"seed": range(4)}, deviations).variance
        >= estimate(values, {"seed": range(4)}).variance - 1e-15
    )


def test_each_source_counts_once():
    """If seeds are all that differs, the variance is s^2 / S, although every seed was tested on the same few images."""
    totals = {"once": 0.0, "seeds": 0.0}
    for seed in range(60):
        values, deviations = differences(seed, seeds=10, n=200, better=0.0)
        totals["once"] += estimate(values, {"seed": range(10)}, deviations).variance
        totals["seeds"] += np.var(values, ddof=1) / 10
    assert totals["seeds"] <= totals["once"] < 1.35 * totals["seeds"], "and not twice"


def test_equal_values_of_all_seeds_leave_the_uncertainty_of_the_images():
    _, deviations = differences(0, seeds=3)
    found = estimate([0.1, 0.1, 0.1], {"seed": range(3)}, deviations)
    low, high = found.interval(0.05)
    assert high - low > 0.05
    assert estimate([0.1, 0.1, 0.1], {"seed": range(3)}) is None


def test_equal_predictions_of_few_images_are_not_equivalent_and_of_many_are():
    for n, word in ((40, "inconclusive"), (2000, "equivalent")):
        clusters = Clusters.of([0, 1] * (n // 2), list(map(str, range(n))))
        hits = np.arange(n) % 3 > 0
        same = of_means(clusters, hits, [0.5, 0.5])
        found = estimate([0.0] * 3, {"seed": range(3)}, [same.minus(same)] * 3)
        assert decide(found, 1.0, alpha=0.05, margin=0.02).word == word


def test_crossed_seeds_have_a_part_each():
    """With G effects alone, the mean over G x C runs has the variance of the G means; noise alone counts once."""
    rng = np.random.default_rng(0)
    at = list(itertools.product(range(4), range(5)))
    effect = rng.normal(size=4)
    generator, classifier = over_axes([effect[g] for g, _ in at], at)
    assert generator.variance == pytest.approx(
        effect.var(ddof=1) / 4
    ) and classifier.variance == pytest.approx(0)
    noise = [sum(p.variance for p in over_axes(rng.normal(size=20), at)) for _ in range(400)]
    assert 0.9 / 20 <= np.mean(noise) < 1.6 / 20, "and not twice"
    found = estimate(
        [effect[g] for g, _ in at], {"generator": [g for g, _ in at], "classifier": [c for _, c in at]}
    )
    assert found.parts["generator"] == pytest.approx(found.variance) and found.df == pytest.approx(3)


def test_repeated_splits_have_the_corrected_variance():
    x = [0.1, 0.2, 0.15, 0.25, 0.1]
    assert nadeau_bengio(x, 0.25) == Component(pytest.approx((0.2 + 0.25) * np.var(x, ddof=1)), 4)
    twice = over_splits(np.repeat(x, 2) + [0.01, -0.01] * 5, np.repeat(range(5), 2), 0.25)
    assert twice.variance == pytest.approx(0.45 * np.var(x, ddof=1)) and twice.df == 4


def test_satterthwaite_of_one_part_is_that_part():
    assert satterthwaite([Component(2.0, 7), Component(0.0, 3)]) == (2.0, pytest.approx(7))
    assert satterthwaite([Component(1.0, 5), Component(1.0, 5)]).df == pytest.approx(10)


def test_deviations_of_other_images_are_refused():
    one, two = (
        of_means(Clusters.of([0, 0], ["a", "b"], ids), [0, 1], [1.0]) for ids in (("x", "y"), ("x", "z"))
    )
    with pytest.raises(ValueError, match="different test images"):
        one.minus(two)
    assert Clusters.of([0, 1, 1], ["a", "b", "c"]).lone
    mixed = Clusters.of(
        [0, 1, 0, 1, 1, 1], ["a", "a", "b", "b", "b", "c"]
    )  # only c has no image of the rarer class
    assert len(mixed.strata) == 1 and not mixed.lone and not Clusters.of([0, 0], ["a", "b"]).lone


# ------------------------------------------------------------------------------------ verdicts


@pytest.mark.parametrize(
    ("mean", "error", "p_holm", "higher", "word"),
    [
        (0.05, 0.01, 0.001, True, "helps"),
        (0.05, 0.01, 0.001, False, "hurts"),
        (-0.05, 0.01, 0.001, True, "hurts"),
        (0.001, 0.005, 0.8, True, "equivalent"),
        (0.012, 0.005, 0.06, True, "inconclusive"),  # its 90% interval leaves the margin
        (0.05, 0.05, 0.3, True, "inconclusive"),
        (0.008, 0.002, 0.01, True, "helps"),  # within the margin, but supported
    ],
)
def test_the_four_verdicts(mean, error, p_holm, higher, word):
    found = Estimate(mean, error**2, 50.0)
    verdict = decide(found, p_holm, alpha=0.05, margin=0.02, higher_is_better=higher)
    assert (verdict.word == word and "p = " in verdict.reason) or "interval" in verdict.reason


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.2, 0.2, allow_subnormal=False), st.floats(1e-4, 0.2), st.floats(2, 100))
def test_a_false_claim_is_less_probable_the_larger_the_difference(mean, error, df):
    found = false_claim(Estimate(mean, error**2, df), 0.05)
    assert 0 <= found <= 0.5 + 1e-6
    if (
        df > 30 and abs(mean) < 3 * error
    ):  # with few degrees of freedom a huge difference is taken for an outlier
        assert false_claim(Estimate(1.2 * mean, error**2, df), 0.05) <= found + 1e-3
    assert found == pytest.approx(false_claim(Estimate(-mean, error**2, df), 0.05), abs=1e-6)


def test_a_false_claim_agrees_with_the_normal_posterior():
    """Of a normal likelihood and prior: mean D w and variance w se^2, with w = 1 / (1 + se^2 / s^2)."""
    from scipy.stats import norm

    d, se, s = 0.03, 0.02, 0.05
    w = 1 / (1 + se**2 / s**2)
    assert false_claim(Estimate(d, se**2, 1e7), s) == pytest.approx(
        norm.cdf(-d * w / (se * w**0.5)), rel=1e-3
    )


def test_rank_intervals_and_groups():
    scores = [0.7, 0.9, 0.72, 0.5]
    p = {(0, 1): 0.001, (0, 2): 0.9, (0, 3): 0.2, (1, 2): 0.001, (1, 3): 0.0001, (2, 3): 0.0001}
    found = ranks(scores, p, 0.05)
    assert [(r.low, r.high) for r in found] == [(2, 4), (1, 1), (2, 3), (3, 4)]
    assert [r.groups for r in found] == ["b c", "a", "b", "c"]
    reversed_ = ranks(scores, p, 0.05, higher_is_better=False)
    assert (reversed_[1].low, reversed_[3].low) == (4, 1)
    equal = ranks([0.5, 0.5], {(0, 1): None}, 0.05)
    assert [tuple(r) for r in equal] == [(1, 2, "a"), (1, 2, "a")]
