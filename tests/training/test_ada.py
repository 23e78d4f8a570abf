"""Adaptive augmentation: p follows the signs of D's logits, and gradients pass through the images twice."""

import math

import pytest
import torch

from derm_bench.training.ada import (
    AdaptiveAugment,
    AdaSettings,
    _Sampled,
    recolour,
    resample,
    rotating,
    scaling,
    translating,
)


def augment(seed=0, **options):
    draws = torch.Generator().manual_seed(seed)
    return AdaptiveAugment(draws, AdaSettings(**({"batch_size": 8} | options)))


def images(n=4, side=16):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("side", [8, 16, 64])
def test_at_p_zero_images_are_what_they_were(side):
    assert torch.allclose(augment()(images(2, side)), images(2, side), atol=1e-5)


def test_p_rises_where_d_knows_the_reals_and_falls_to_zero_where_it_does_not():
    ada = augment(speed_kimg=0.32, interval=4)  # one adjustment is 8 * 4 / 320 = 0.1
    ada.seen(torch.tensor([3.0, 2.0, 1.0, 0.5]))
    assert ada.adjust() == 1.0 and float(ada.p) == pytest.approx(0.1)
    ada.seen(torch.tensor([3.0, 2.0, 1.0, -0.5]))  # r = 0.5, under the target of 0.6
    assert ada.adjust() == 0.5 and float(ada.p) == pytest.approx(0.0)
    ada.seen(torch.tensor([-1.0]))
    ada.adjust()
    assert float(ada.p) == 0.0
    ada.p.fill_(0.5)
    assert ada.adjust() == 0.0 and float(ada.p) == 0.5, "nothing was seen since the last adjustment"


def test_p_and_the_signs_so_far_are_restored():
    first, second = augment(start=0.3), augment()
    first.seen(torch.tensor([1.0, 1.0, -1.0]))
    second.load_state_dict(first.state_dict())
    assert (float(second.p), float(second.signs), float(second.count)) == (pytest.approx(0.3), 1.0, 3.0)


def test_turns_flips_and_shifts_move_smooth_images_as_they_should():
    place = torch.linspace(0, math.pi, 32)
    x = torch.stack(
        [place.sin() * place[:, None].cos(), place.cos() + 0 * place[:, None], 0.3 * place.expand(32, 32)]
    )
    x, one = x[None], torch.ones(1)
    inside = (..., slice(4, -4), slice(4, -4))
    turned = resample(x, rotating(math.pi / 2 * one))
    ways = [(turned - x.rot90(k, (2, 3)))[inside].abs().max() for k in (1, -1)]
    assert min(ways) < 0.05 < max(ways), "the filter is not quite symmetric"
    assert torch.allclose(resample(x, scaling(-one, one))[inside], x.flip(3)[inside], atol=0.05)
    shifted = resample(x, translating(4 * (2 / 32) * one, 0 * one))
    assert torch.allclose(shifted[..., 4:-4, 8:-4], x[..., 4:-4, 4:-8], atol=1e-4)


def test_sampling_can_be_differentiated_twice():
    draw = torch.Generator().manual_seed(0)
    x = torch.rand(1, 2, 6, 6, dtype=torch.float64, generator=draw).requires_grad_(True)
    grid = torch.rand(1, 5, 5, 2, dtype=torch.float64, generator=draw) * 3 - 1.5
    assert torch.autograd.gradcheck(lambda t: _Sampled.apply(t, grid), x)
    assert torch.autograd.gradgradcheck(lambda t: _Sampled.apply(t, grid), x)


def test_a_gradient_penalty_passes_through_all_of_the_augmentation():
    ada = augment(start=1.0)
    x = images().requires_grad_(True)
    weight = torch.ones(3, 1, 1, requires_grad=True)
    (slope,) = torch.autograd.grad((ada(x) * weight).square().sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert weight.grad.abs().sum() > 0 and torch.isfinite(weight.grad).all()


def test_hue_is_bounded_and_grey_keeps_its_lightness_unless_a_luma_flip_is_asked_for():
    grey = torch.full((64, 3, 4, 4), 0.4)
    ada = augment(start=1.0)
    matrices = ada._colours(64)
    linear = matrices[:, :3, :3] @ torch.full((3, 1), 0.4)
    assert (linear > 0).all(), "no negative"
    flipped = augment(start=1.0, luma_flip=True)._colours(64)[:, :3, :3] @ torch.full((3, 1), 0.4)
    assert (flipped < 0).any()
    red = torch.tensor([1.0, 0.0, 0.0])
    turned = augment(start=1.0, hue=18.0)._colours(256)[:, :3, :3] @ red
    across = turned - turned.mean(1, keepdim=True)
    along = red - red.mean()
    cosine = (across @ along) / (across.norm(dim=1) * along.norm())
    assert (cosine >= math.cos(math.radians(18.1))).all()
    assert recolour(grey, matrices).shape == grey.shape
