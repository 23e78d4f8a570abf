"""The extrapolated Frechet distance: nearer to the truth than the distance, and by hand."""

import numpy as np
import pytest

from derm_bench.fidelity.distances import frechet_distance
from derm_bench.fidelity.extrapolation import extrapolated_distance


def sides(n, seed, d=16, gap=0.8):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(n, d)) * gap


def test_it_is_nearer_to_the_distance_of_the_distributions_than_that_of_the_samples():
    true = 16 * 0.2**2
    pairs = [sides(200, seed) for seed in range(8)]
    plain = [frechet_distance(*pair, groups=0).value for pair in pairs]
    beyond = [extrapolated_distance(*pair, groups=0).value for pair in pairs]
    assert abs(np.mean(beyond) - true) < 0.25 * abs(np.mean(plain) - true)


def test_its_interval_covers_the_truth_for_most_samples():
    found = [extrapolated_distance(*sides(200, seed)) for seed in range(12)]
    assert sum(low <= 16 * 0.2**2 <= high for _, low, high in found) >= 10


def test_it_is_the_end_of_the_line_through_the_distances_of_parts():
    real, fake = sides(64, 0)
    rng = np.random.default_rng(1)
    places = [rng.permutation(64), rng.permutation(64)]
    means = [
        np.mean([
            frechet_distance(real[places[0] % parts == part], fake[places[1] % parts == part], groups=0).value
            for part in range(parts)
        ])
        for parts in (1, 2, 4)
    ]  # fmt: skip
    line = np.polyfit(1 / np.array([64, 32, 16]), means, 1)
    assert extrapolated_distance(real, fake, groups=0).value == pytest.approx(line[1])


def test_equal_images_give_a_number_and_too_few_are_refused():
    real, _ = sides(64, 0)
    assert np.isfinite(extrapolated_distance(real, np.ones((64, 16))).value)
    with pytest.raises(ValueError, match="four parts need 8 images per side"):
        extrapolated_distance(real[:7], real[:7])
