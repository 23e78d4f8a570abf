"""Battle Royale Optimisation: it finds known minima, and each of its rules by hand."""

import math

import pytest
import torch

from derm_bench_plugins.classifiers.battle_royale import BattleRoyale


def search(function, low, high, evaluations, soldiers=12, seed=0):
    draws = torch.Generator().manual_seed(seed)
    royale = BattleRoyale(
        torch.tensor(low), torch.tensor(high), soldiers, max(1, evaluations // soldiers - 1), draws
    )
    for _ in range(evaluations):
        royale.tell(float(function(royale.ask())))
    return royale


def sphere(x):
    return (x - torch.tensor([1.0, -2.0, 0.5])).square().sum()


def rastrigin(x):
    return (x.square() - 10 * torch.cos(2 * math.pi * x) + 10).sum()


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_minimum_of_a_sphere(seed):
    found = search(sphere, [-5.0] * 3, [5.0] * 3, 1500, soldiers=30, seed=seed)
    assert found.best_value < 1e-2
    assert torch.allclose(found.best, torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), atol=0.1)


def test_it_is_better_than_random_points_on_a_function_with_many_minima():
    better = 0
    for seed in range(5):
        draws = torch.Generator().manual_seed(seed)
        points = torch.rand(600, 3, generator=draws, dtype=torch.float64) * 10.24 - 5.12
        at_random = min(float(rastrigin(point)) for point in points)
        better += search(rastrigin, [-5.12] * 3, [5.12] * 3, 600, seed=seed).best_value < at_random
    assert better >= 3


def test_points_stay_within_the_bounds_and_the_safe_zone_shrinks_to_the_best():
    royale = search(sphere, [0.0] * 3, [5.0] * 3, 600)
    assert float(royale.positions.min()) >= 0 and float(royale.positions.max()) <= 5
    assert bool((royale.low <= royale.best).all() and (royale.best <= royale.high).all())
    assert bool((royale.high - royale.low < 5).all())


def duellists(positions, values):
    royale = BattleRoyale(torch.zeros(1), torch.full((1,), 10.0), len(positions), 10, torch.Generator())
    royale.positions = torch.tensor(positions, dtype=torch.float64).view(-1, 1)
    for value in values:
        royale.ask()
        royale.tell(value)
    return royale


def test_the_loser_of_a_duel_with_the_nearest_soldier_moves_towards_the_best():
    royale = duellists([0.0, 1.0, 9.0], [5.0, 7.0, 1.0])
    assert royale.nearest(0) == 1
    point = float(royale.ask())  # soldier 0 meets 1, which loses and moves from 1 towards 9
    assert 1 <= point <= 9 and royale.damage == [0, 1, 0]


def test_a_soldier_that_is_hurt_three_times_appears_anew_and_a_winner_recovers():
    royale = duellists([0.0, 1.0, 9.0], [5.0, 7.0, 1.0])
    royale.damage = [1, 2, 0]
    royale.low, royale.high = torch.tensor([3.0]).double(), torch.tensor([3.5]).double()
    assert 3 <= float(royale.ask()) <= 3.5
    assert royale.damage == [0, 0, 0]


def test_the_best_is_never_lost():
    royale, best = search(sphere, [-5.0] * 3, [5.0] * 3, 12), math.inf
    for _ in range(300):
        value = float(sphere(royale.ask()))
        royale.tell(value)
        assert royale.best_value <= best
        best = royale.best_value
    assert float(sphere(royale.best)) == best


def test_a_search_that_is_interrupted_goes_on_in_the_same_way():
    whole, first = search(sphere, [-5.0] * 3, [5.0] * 3, 100), search(sphere, [-5.0] * 3, [5.0] * 3, 40)
    first.ask()
    resumed = BattleRoyale(torch.full((3,), -5.0), torch.full((3,), 5.0), 12, 7, torch.Generator())
    resumed.load_state_dict(first.state_dict())
    resumed.delta = first.delta
    for _ in range(60):
        resumed.tell(float(sphere(resumed.ask())))
    assert first.evaluated == 40 and resumed.evaluated == whole.evaluated


def test_no_number_is_the_worst_value():
    royale = duellists([0.0, 1.0, 9.0], [math.nan, 7.0, 8.0])
    assert royale.best_value == 7 and float(royale.best) == 1
