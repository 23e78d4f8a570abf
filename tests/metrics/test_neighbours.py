"""Density, coverage, precision, recall and two-sample accuracy against loops over all pairs, and where the answer is
known."""

import numpy as np
import pytest

from derm_bench.fidelity import neighbours
from derm_bench.fidelity.distances import deal
from derm_bench.fidelity.neighbours import coverage, density, precision, recall, two_sample_accuracy
from derm_bench.specs import Task, load_object
from derm_bench_plugins.metrics import specs

MEASURES = (density, coverage, precision, recall)


def sample(n, seed, shift=0.0, scale=1.0, d=6):
    return np.random.default_rng(seed).normal(size=(n, d)) * scale + shift


def by_hand(real, fake, k=5):
    """The four values in loops."""

    def radius(side, i):
        return sorted(np.linalg.norm(side[i] - other) for j, other in enumerate(side) if j != i)[k - 1]

    real_radii, fake_radii = ([radius(side, i) for i in range(len(side))] for side in (real, fake))
    gaps = [[np.linalg.norm(x - y) for y in fake] for x in real]
    n, m = len(real), len(fake)
    in_real = [[gaps[i][j] < real_radii[i] for j in range(m)] for i in range(n)]
    in_fake = [[gaps[i][j] < fake_radii[j] for j in range(m)] for i in range(n)]
    return (
        sum(map(sum, in_real)) / (k * m),
        sum(any(row) for row in in_real) / n,
        sum(any(in_real[i][j] for i in range(n)) for j in range(m)) / m,
        sum(any(row) for row in in_fake) / n,
    )


@pytest.mark.parametrize(("n", "m", "shift"), [(40, 40, 0.0), (30, 50, 0.7), (90, 20, 0.3)])
def test_values_are_those_of_loops_over_all_pairs(n, m, shift):
    real, fake = sample(n, 0), sample(m, 1, shift, 0.8)
    values = [measure(real, fake).value for measure in MEASURES]
    assert values == pytest.approx(by_hand(real, fake))
    assert min(values) > 0 and len(set(values)) > 2


@pytest.mark.parametrize(("n", "m", "shift"), [(40, 40, 0.0), (30, 50, 0.7), (3, 2, 0.3)])
def test_two_sample_accuracy_is_that_of_a_loop(n, m, shift):
    real, fake = sample(n, 0), sample(m, 1, shift)
    both, is_fake = np.concatenate([real, fake]), [False] * n + [True] * m
    correct = 0
    for i, image in enumerate(both):
        others = [(np.linalg.norm(image - other), is_fake[j]) for j, other in enumerate(both) if j != i]
        correct += min(others)[1] == is_fake[i]
    assert two_sample_accuracy(real, fake).value == pytest.approx(correct / (n + m))


def test_two_sample_accuracy_tells_copies_from_new_images_and_from_images_far_away():
    real = sample(200, 0)
    assert two_sample_accuracy(real, real.copy()).value == 0
    fresh = two_sample_accuracy(real, sample(200, 1))
    assert fresh.low <= 0.5 <= fresh.high
    assert two_sample_accuracy(real, sample(200, 1, shift=50.0)).value == 1
    assert two_sample_accuracy(np.ones((5, 2)), np.ones((5, 2))).value == 0.5, (
        "all equally far: no better than chance"
    )


def test_equal_sets_are_covered_and_as_dense_as_they_are():
    real = sample(300, 0, shift=1000.0)  # far from the origin, where a product of features loses digits
    assert [measure(real, real.copy()).value for measure in MEASURES] == [1, 1, 1, 1]


def test_sets_far_apart_do_not_meet():
    for measure in MEASURES:
        assert measure(sample(50, 0), sample(50, 1, shift=100.0))[:2] == (0, 0)


def test_one_image_again_and_again_is_precise_and_covers_little():
    real = sample(200, 0)
    fake = np.repeat(real[:1] * 0.1, 200, axis=0)
    assert precision(real, fake).value == 1 and density(real, fake).value > 1
    assert coverage(real, fake).value < 0.7 and recall(real, fake).value == 0


def test_two_samples_of_one_distribution_give_what_naeem_et_al_expect():
    pairs = [(sample(400, 2 * k), sample(400, 2 * k + 1)) for k in range(5)]
    assert np.mean([coverage(*pair).value for pair in pairs]) == pytest.approx(1 - 2**-5, abs=0.01)
    assert np.mean([density(*pair).value for pair in pairs]) == pytest.approx(1, abs=0.04)


def test_a_side_of_few_images_has_fewer_neighbours():
    assert coverage(sample(3, 0), sample(3, 1)).value == by_hand(sample(3, 0), sample(3, 1), k=2)[1]


@pytest.mark.parametrize("kept", [64, 3])
def test_intervals_are_the_jackknife_of_sets_without_a_group(monkeypatch, kept):
    """Also where more neighbours are gone than were remembered."""
    monkeypatch.setattr(neighbours, "KEPT", max(kept, neighbours.K))
    real, fake = sample(60, 0), sample(60, 1, 0.3)
    dealt = deal(60, 60, 20)
    for position, measure in enumerate(MEASURES):
        pairs = [pair[::-1] for pair in dealt] if measure is recall else dealt  # the sides are exchanged
        deleted = [by_hand(np.delete(real, i, 0), np.delete(fake, j, 0))[position] for i, j in pairs[:4]]
        seen = []
        with monkeypatch.context() as patched:
            patched.setattr(
                neighbours, "jackknife", lambda value, rest, seen=seen: seen.extend(rest) or (0.2, 0.3)
            )
            measure(real, fake)
        assert len(seen) == 20 and seen[:4] == pytest.approx(deleted)
        value, low, high = measure(real, fake)
        assert low < value <= high or value == 1


def test_metrics_have_names_directions_and_are_the_default_on_the_domain():
    found = {spec.name: spec for spec in specs()}
    rng_real, rng_fake = sample(40, 0), sample(40, 1, 0.5)
    for name in ("density_domain", "coverage_domain", "density", "coverage", "prdc_precision", "prdc_recall"):
        assert found[name].higher_is_better
        metric = load_object(found[name].create)(found[name].options(), Task(("a",), 64))
        measure = getattr(neighbours, name.removeprefix("prdc_").removesuffix("_domain"))
        assert metric.compute(rng_real, rng_fake) == {name: pytest.approx(measure(rng_real, rng_fake).value)}
        assert metric.intervals(rng_real, rng_fake)[name] == measure(rng_real, rng_fake)
    assert found["density"].preflight and found["density_domain"].extractor == "domain"
