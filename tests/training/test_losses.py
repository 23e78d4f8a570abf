"""Losses against values worked out by hand."""

import math

import pytest
import torch

from derm_bench.training.losses import (
    compact_and_apart,
    discriminator_loss,
    generator_loss,
    relativistic_loss,
    soft_bce,
    soft_cross_entropy,
)


def test_the_discriminator_pays_for_reals_called_fake_and_fakes_called_real():
    # sigmoid(log 3) = 3/4 for the real, sigmoid(-log 4) = 1/5 for the fake
    loss = discriminator_loss(torch.tensor([math.log(3)]), torch.tensor([-math.log(4)]))
    assert loss.item() == pytest.approx(-math.log(3 / 4) - math.log(4 / 5))


def test_the_generator_loss_does_not_saturate():
    fake = torch.tensor([-20.0], requires_grad=True)
    loss = generator_loss(fake)
    loss.backward()
    assert loss.item() == pytest.approx(20, abs=1e-4) and fake.grad.item() == pytest.approx(-1, abs=1e-4)


def test_losses_are_reduced_in_float32_and_stay_finite():
    half = torch.tensor([300.0, -300.0], dtype=torch.bfloat16)
    loss = discriminator_loss(half, half)
    assert loss.dtype == torch.float32 and loss.item() == pytest.approx(300)


def test_soft_cross_entropy_is_the_weighted_mean_over_rows():
    logits = torch.tensor([[0.0, math.log(3)], [0.0, 0.0]])
    targets = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    first, second = -(math.log(1 / 4) + math.log(3 / 4)) / 2, math.log(2)
    assert soft_cross_entropy(logits, targets).item() == pytest.approx((first + second) / 2)
    weighted = soft_cross_entropy(logits, targets, torch.tensor([3.0, 0.5]))
    assert weighted.item() == pytest.approx((3 * first + 0.5 * second) / 2)


def test_one_vs_rest_bce_sums_over_classes():
    loss = soft_bce(torch.tensor([[0.0, math.log(3)]]), torch.tensor([[0.0, 1.0]]))
    assert loss.item() == pytest.approx(math.log(2) - math.log(3 / 4))


def test_one_class_alone_has_nothing_to_be_apart_from():
    features, centres = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0]])
    loss = compact_and_apart(features, torch.ones(2, 1), centres, margin=2.0)
    assert loss.item() == pytest.approx((0 + 1) / 2)  # |f - c|^2 / 2 is 0 and 1


def test_the_relativistic_loss_of_two_pairs_is_that_counted_by_hand():
    leading, trailing = torch.tensor([2.0, 0.0]), torch.tensor([1.0, 3.0])
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(3))) / 2
    assert relativistic_loss(leading, trailing).item() == pytest.approx(expected)
