"""The losses of AA-GAN against values by hand, on small tensors."""

import pytest
import torch
from torch import nn

from derm_bench.training.losses import between
from derm_bench.training.seeding import stream
from derm_bench_plugins.generators.aagan_losses import (
    conditional_penalty,
    content_loss,
    direction_loss,
    discriminator_losses,
    gram,
    layers_of,
    style_loss,
)
from derm_bench_plugins.generators.aagan_nets import VolumeDiscriminator, paired


def numbers(*values, shape):
    return torch.tensor(values, dtype=torch.float32).reshape(shape)


def test_content_is_half_the_sum_of_squares_of_a_pair_and_the_mean_over_pairs():
    real = [numbers(1, 2, 3, 4, shape=(2, 1, 2)), numbers(0, 0, shape=(2, 1))]
    fake = [numbers(0, 0, 0, 0, shape=(2, 1, 2)), numbers(3, 1, shape=(2, 1))]
    assert content_loss(real, fake, [0]).item() == (1 + 4 + 9 + 16) / 2 / 2
    assert content_loss(real, fake, [1]).item() == (9 + 1) / 2 / 2
    assert content_loss(real, fake, [0, 1]).item() == 7.5 + 2.5
    assert content_loss(real, fake, []).item() == 0


def test_the_direction_loss_is_one_minus_the_cosine_where_there_truly_is_hair():
    real, fake = torch.zeros(1, 3, 1, 1, 4), torch.full((1, 3, 1, 1, 4), 0.9)
    x, y = [1, 0.5, 0.5], [0.5, 1, 0.5]
    for place, (true, made) in enumerate(
        [(x, x), (x, y), ([0, 0.5, 0.5], x)]
    ):  # the same, at right angles, opposite
        real[0, :, 0, 0, place], fake[0, :, 0, 0, place] = torch.tensor(true), torch.tensor(made)
    assert direction_loss(real, fake).item() == pytest.approx((0 + 1 + 2) / 3, abs=1e-5)
    assert direction_loss(0 * real, fake).item() == 0


def test_a_gram_matrix_sums_products_of_channels_over_voxels():
    features = numbers(1, 2, 3, 4, shape=(1, 2, 1, 2, 1))
    assert torch.equal(gram(features), numbers(5, 11, 11, 25, shape=(1, 2, 2)))
    assert torch.equal(gram(numbers(3, 2, shape=(2, 1))), numbers(9, 4, shape=(2, 1, 1)))


def test_style_is_the_distance_of_gram_matrices_over_4_n2_m2():
    real = [numbers(1, 2, 3, 4, shape=(1, 2, 1, 2, 1))]
    fake = [numbers(1, 0, 0, 1, shape=(1, 2, 1, 2, 1))]  # its Gram matrix is the identity
    expected = ((5 - 1) ** 2 + 2 * 11**2 + (25 - 1) ** 2) / (4 * 2**2 * 2**2)
    assert style_loss(real, fake, [0]).item() == pytest.approx(expected)
    twice = [torch.cat([part, part]) for part in (real[0], fake[0])]
    assert style_loss([twice[0]], [twice[1]], [0]).item() == pytest.approx(expected)
    swapped = [real[0].flip(3)]  # what lies where does not matter
    assert style_loss(real, swapped, [0]).item() == 0 < content_loss(real, swapped, [0]).item()


class Linear(nn.Module):
    """D(volume, P) = a sum of the volume + b sum of P."""

    def __init__(self, a, b):
        super().__init__()
        self.a, self.b = (nn.Parameter(torch.tensor(float(value))) for value in (a, b))

    def features(self, pairs):
        volume, condition = pairs[:, :3].flatten(1), pairs[:, 3:].flatten(1)
        return [(self.a * volume.sum(1) + self.b * condition.sum(1)).unsqueeze(1)]

    def forward(self, volume, condition):
        return self.features(paired(volume, condition))[-1].squeeze(1)


def test_the_norm_of_the_penalty_counts_volume_and_condition():
    """The gradient is a at 3 voxels and b at one: the norm is sqrt(3 a^2 + b^2)."""
    d = Linear(2, 3)
    real, fake, condition = (torch.randn(5, c, 1, 1, 1) for c in (3, 3, 1))
    penalty = conditional_penalty(d, real, fake, condition, stream(0, "mix"))
    assert penalty.item() == pytest.approx(((3 * 4 + 9) ** 0.5 - 1) ** 2, rel=1e-5)
    penalty.backward()
    norm = 21**0.5
    assert d.a.grad.item() == pytest.approx(2 * (norm - 1) * 3 * 2 / norm, rel=1e-5)
    assert d.b.grad.item() == pytest.approx(2 * (norm - 1) * 3 / norm, rel=1e-5)


def test_the_loss_of_d_is_that_of_wgan():
    d = Linear(2, 3)
    real, fake = torch.full((2, 3, 1, 1, 1), 0.5), torch.full((2, 3, 1, 1, 1), 2.0)
    condition = torch.ones(2, 1, 1, 1, 1)
    loss, _, scores = discriminator_losses(d, real, fake, condition, stream(0, "mix"))
    assert loss.item() == 2 * 3 * 2.0 - 2 * 3 * 0.5
    assert scores[0].tolist() == [6.0, 6.0] and scores[1].tolist() == [15.0, 15.0]


def test_p_is_computed_once_and_trained_through_the_scores():
    torch.manual_seed(0)
    d, calls = VolumeDiscriminator(128, 0.125), []
    for value in d.parameters():
        nn.init.normal_(value, std=0.1)  # not so small that gradients vanish through nine layers
    d.project.register_forward_hook(lambda *_: calls.append(1))
    maps, volumes = torch.rand(2, 4, 128, 128), 10 * torch.randn(2, 2, 3, 12, 16, 16)
    loss, penalty, _ = discriminator_losses(d, *volumes, d.condition(maps), stream(0, "mix"))
    (loss + 10 * penalty).backward()
    assert d.project[0].weight.grad.abs().sum() > 0 and d.critic[0][0].weight.grad.abs().sum() > 0
    assert len(calls) == 1  # though D saw three volumes


def test_the_penalty_is_taken_between_pairs_of_the_same_maps():
    torch.manual_seed(0)
    d = VolumeDiscriminator(128, 0.125)
    real, fake = torch.rand(2, 2, 3, 12, 16, 16)
    condition = d.condition(torch.rand(2, 4, 128, 128)).detach()
    points = torch.cat([between(real, fake, stream(1, "mix")).detach(), condition], 1).requires_grad_()
    (slope,) = torch.autograd.grad(d.features(points)[-1].sum(), points)
    expected = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    assert conditional_penalty(d, real, fake, condition, stream(1, "mix")).item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_layer_0_is_the_volume_without_p_and_layer_6_the_score():
    torch.manual_seed(0)
    d, volume = VolumeDiscriminator(128, 0.125), torch.rand(2, 3, 12, 16, 16)
    condition = d.condition(torch.rand(2, 4, 128, 128))
    layers = layers_of(d, volume, condition)
    assert len(layers) == 7 and torch.equal(layers[0], volume)
    assert torch.equal(layers[6][:, 0], d(volume, condition))
    assert [found.shape[1] for found in layers[1:6]] == [4, 8, 16, 32, 64]
