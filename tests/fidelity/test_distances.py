"""Distances agree with closed forms, with a double loop, and with torch-fidelity; intervals cover."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from derm_bench.fidelity.distances import frechet_distance, gaussian_distance, kernel_distance


def normal(n, d, seed, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, d)) * scale + shift


def with_moments(n, mean, deviation, seed):
    """n points whose sample mean and (diagonal) sample covariance are exactly these."""
    x = normal(n, len(mean), seed)
    x -= x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return x * deviation + mean


def test_frechet_distance_of_known_gaussians():
    a = with_moments(50, np.zeros(4), np.array([1.0, 2.0, 3.0, 4.0]), 0)
    b = with_moments(70, np.full(4, 0.5), np.array([1.0, 1.0, 5.0, 4.0]), 1)
    assert frechet_distance(a, b).value == pytest.approx(4 * 0.25 + 0 + 1 + 4 + 0)


@pytest.mark.parametrize(("n", "d"), [(200, 12), (10, 40), (30, 30), (31, 30)])
def test_frechet_distance_agrees_with_the_matrix_root_also_when_covariances_are_singular(n, d):
    a, b = normal(n, d, 0), normal(n + 3, d, 1, scale=1.5, shift=0.2)
    # A small multiple of the identity makes the root exist; its effect vanishes with its square root.
    sa, sb = (np.cov(x, rowvar=False) + 1e-12 * np.eye(d) for x in (a, b))
    gap = a.mean(0) - b.mean(0)
    want = gap @ gap + np.trace(sa + sb - 2 * sqrtm(sa @ sb).real)
    assert frechet_distance(a, b).value == pytest.approx(want, rel=1e-4)


def test_frechet_distance_with_fewer_images_than_features_in_closed_form():
    # Orthogonal one-dimensional supports: the covariances' product is zero, so nothing cancels.
    a, b = np.zeros((3, 10)), np.zeros((3, 10))
    a[:, 0] = [-1, 0, 1]
    b[:, 1] = [-2, 0, 2]
    assert frechet_distance(a, b).value == pytest.approx(1 + 4)
    assert frechet_distance(a, 3 * a).value == pytest.approx((3 - 1) ** 2)


@pytest.mark.parametrize(("n", "m", "shift"), [(30, 30, 0.0), (25, 40, 0.8), (8, 3, 0.1)])
def test_gaussian_distance_is_that_of_loops_over_all_pairs(n, m, shift):
    a, b = normal(n, 5, 0), normal(m, 5, 1, shift=shift)
    width = np.median([np.linalg.norm(a[i] - a[j]) for i in range(n) for j in range(i)])

    def mean(x, y, same):
        pairs = [(p, q) for i, p in enumerate(x) for j, q in enumerate(y) if not (same and i == j)]
        return np.mean([np.exp(-np.sum((p - q) ** 2) / (2 * width**2)) for p, q in pairs])

    want = mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False)
    # torch's median of an even number of values is the lower one of the two in the middle
    assert gaussian_distance(a, b).value == pytest.approx(want, abs=0.01)


def test_gaussian_distance_is_bounded_and_defined_for_equal_images():
    real = normal(60, 8, 0)
    assert 0.9 < gaussian_distance(real, normal(60, 8, 1, shift=1e6)).value <= 2
    one = np.repeat(real[:1], 60, axis=0)
    assert 0.1 < gaussian_distance(real, one).value <= 2
    assert gaussian_distance(one, one).value == pytest.approx(0)
    assert 0.9 < gaussian_distance(one, one + 1).value <= 2
    few_far = np.concatenate([normal(57, 8, 2), normal(3, 8, 3, shift=1e6)])
    assert gaussian_distance(real, few_far).value < 0.02, "outliers count as a few images"


def test_gaussian_distance_of_equal_distributions_is_around_zero_and_its_interval_covers_it():
    found = [gaussian_distance(normal(80, 6, 2 * k), normal(80, 6, 2 * k + 1)) for k in range(40)]
    values = [one.value for one in found]
    assert abs(np.mean(values)) < 0.003 and min(values) < 0 < max(values)
    assert sum(one.low <= 0 <= one.high for one in found) >= 34


@pytest.mark.parametrize(("n", "d"), [(300, 24), (40, 100)])
def test_distances_agree_with_torch_fidelity(n, d):
    a, b = normal(n, d, 0), normal(n, d, 1, shift=0.3)
    statistics = [fid_features_to_statistics(torch.from_numpy(x)) for x in (a, b)]
    fid = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(a, b).value == pytest.approx(fid, rel=1e-3)
    kid = kid_features_to_metric(
        torch.from_numpy(a), torch.from_numpy(b), kid_subset_size=n, kid_subsets=1, verbose=False
    )
    assert kernel_distance(a, b).value == pytest.approx(kid["kernel_inception_distance_mean"], rel=1e-9)


def test_kernel_distance_is_the_unbiased_double_loop():
    a, b = normal(9, 5, 0), normal(7, 5, 1, shift=0.5)

    def k(x, y):
        return (float(x @ y) / 5 + 1) ** 3

    within_a = np.mean([k(a[i], a[j]) for i in range(9) for j in range(9) if i != j])
    within_b = np.mean([k(b[i], b[j]) for i in range(7) for j in range(7) if i != j])
    between = np.mean([k(x, y) for x in a for y in b])
    want = within_a + within_b - 2 * between
    assert kernel_distance(a, b).value == pytest.approx(want)
    assert kernel_distance(a, b, groups=0).value == pytest.approx(want)


def test_many_images_are_compared_in_subsets_without_bias():
    a, b = normal(4000, 6, 0), normal(3000, 6, 1, shift=0.2)
    many = kernel_distance(a, b)
    few = kernel_distance(a[:2000], b[:2000])
    assert many.low < few.value < many.high
    assert many.low < many.value < many.high
    equal = [kernel_distance(normal(2400, 4, s), normal(2400, 4, 99 + s), groups=0).value for s in range(40)]
    assert abs(np.mean(equal)) < 3 * np.std(equal) / np.sqrt(40)


def test_kernel_distance_of_equal_distributions_is_zero_on_average():
    values = [kernel_distance(normal(20, 6, s), normal(30, 6, 1000 + s), groups=0).value for s in range(400)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 20
    assert 0.3 < np.mean(np.array(values) < 0) < 0.8


def test_the_same_images_twice_are_at_distance_zero():
    a = normal(64, 96, 0)
    assert frechet_distance(a, a[::-1]).value == pytest.approx(0, abs=1e-9)
    assert kernel_distance(a, a).value <= 0


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_intervals_are_deterministic_and_as_wide_as_repeated_draws_vary(distance):
    draws = [distance(normal(100, 16, s), normal(100, 16, 500 + s, shift=0.5)) for s in range(40)]
    spread = np.std([draw.value for draw in draws], ddof=1)
    half = np.mean([(draw.high - draw.value) for draw in draws])
    assert all(draw.low <= draw.value <= draw.high for draw in draws)
    assert 0.7 < half / (2.09 * spread) < 1.6
    assert distance(normal(30, 4, 0), normal(30, 4, 1)) == distance(normal(30, 4, 0), normal(30, 4, 1))


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_too_few_images_have_no_interval_and_one_has_no_distance(distance):
    few = distance(normal(2, 4, 0), normal(2, 4, 1))
    assert math.isfinite(few.value) and math.isnan(few.low) and math.isnan(few.high)
    with pytest.raises(ValueError, match="two images per side, not 1 and 5"):
        distance(normal(1, 4, 0), normal(5, 4, 1))
    with pytest.raises(ValueError, match="equal D"):
        distance(normal(5, 4, 0), normal(5, 3, 1))
