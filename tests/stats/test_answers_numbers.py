"""The rank correlation and the number of seeds that answers state."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from derm_bench.stats.detectable import shift_found
from derm_bench.stats.rank_correlation import rank_correlation
from derm_bench.stats.seeds import Component, satterthwaite
from derm_bench.stats.seeds_needed import seeds_needed


def test_rho_is_that_of_scipy_with_ties_too():
    rng = np.random.default_rng(0)
    for n in (5, 9, 30):
        x, y = rng.integers(0, 6, n), rng.normal(size=n)
        assert rank_correlation(x, y).rho == pytest.approx(spearmanr(x, y).statistic)


def test_a_constant_or_short_list_has_no_interval():
    assert np.isnan(rank_correlation([1, 1, 1, 1, 1], [1, 2, 3, 4, 5]).rho)
    assert np.isnan(rank_correlation([1, 2, 3, 4], [1, 2, 3, 4]).low)


def test_a_perfect_order_of_few_is_no_certainty():
    found = rank_correlation(range(6), range(6))
    assert found.rho == pytest.approx(1) and 0 < found.low < 0.9 and found.high <= 1


def test_intervals_contain_the_true_correlation_in_about_95_percent():
    rng, inside = np.random.default_rng(1), 0
    true = 6 / np.pi * np.arcsin(0.5 / 2)  # Spearman's rho of a normal pair with correlation 0.5
    for _ in range(300):
        x = rng.normal(size=12)
        found = rank_correlation(x, 0.5 * x + np.sqrt(0.75) * rng.normal(size=12))
        inside += found.low <= true <= found.high
    assert 0.92 <= inside / 300 <= 0.99


def test_the_number_of_seeds_is_the_smallest_that_is_enough():
    needed = seeds_needed(0.03, 0.02**2, 0.003**2, comparisons=2, alpha=0.05)

    def found(n):
        total = satterthwaite([Component(0.02**2 / n, n - 1), Component(0.003**2, 1000.0)])
        return shift_found(0.025, 0.8, total.df) * total.variance**0.5

    assert found(needed) <= 0.03 < found(needed - 1)
    assert seeds_needed(0.01, 0.02**2, 0.01**2, comparisons=1, alpha=0.05) is None
