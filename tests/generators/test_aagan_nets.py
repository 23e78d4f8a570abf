"""The networks of AA-GAN: shapes and numbers of weights of the decoded table, at the size of the paper and below."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from derm_bench_plugins.generators.aagan_nets import (
    Residual,
    VolumeDiscriminator,
    VolumeGenerator,
    conv2,
    depth_of,
    paired,
    signed,
)


def weights(net):
    """The number of weights without biases."""
    return sum(p.numel() for name, p in net.named_parameters() if not name.endswith("bias"))


def on_meta(side, width=1.0):
    with torch.device("meta"):
        return VolumeGenerator(side, width), VolumeDiscriminator(side, width)


def test_the_weights_of_g_are_those_of_the_table():
    g, _ = on_meta(1024)
    rows = [
        25 * (4 * 16 + 4 * 8 + 8 * 16),
        25 * (16 * 64 + 16 * 32 + 32 * 64),
        25 * (64 * 256 + 64 * 128 + 128 * 256),
        25 * 2 * 256 * 256,
    ]
    assert [weights(row) for row in g.initial] == rows
    axis = 25 * (4 * 256 * 256 + 256 * 128 + 128 * 96)
    assert [weights(block) for block in (g.x, g.y, g.z)] == [axis] * 3
    assert weights(g.fusion) == 4 * 3 * 3 * 27
    assert weights(g) == 27_846_572 == sum(rows) + 3 * axis + 972


def test_the_weights_of_d_are_those_of_the_table():
    _, d = on_meta(1024)
    projection = 25 * (4 * 32 + 32 * 64 + 64 * 128 + 128 * 96)
    critic = 27 * (4 * 32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    assert weights(d.project) == projection and weights(d.critic) == critic
    assert weights(d.score) == 4 * 4 * 3 * 512
    assert weights(d) == 5_294_592 == projection + critic + 24_576


def test_the_shapes_at_1024_are_those_of_the_table():
    g, d = on_meta(1024)
    maps = torch.empty(1, 4, 1024, 1024, device="meta")
    seen = []
    for row in g.initial:
        row.register_forward_hook(lambda m, i, out: seen.append(tuple(out.shape[1:])))
    latent = g.latent(maps)
    assert seen == [(16, 512, 512), (64, 256, 256), (256, 128, 128), (256, 128, 128)]
    assert g.x(latent).shape == (1, 96, 128, 128)
    volume, condition = g.volume(latent), d.condition(maps)
    assert volume.shape == (1, 3, 96, 128, 128) and condition.shape == (1, 1, 96, 128, 128)
    shapes = [tuple(found.shape[1:]) for found in d.features(paired(volume, condition))]
    assert shapes == [
        (32, 48, 64, 64),
        (64, 24, 32, 32),
        (128, 12, 16, 16),
        (256, 6, 8, 8),
        (512, 3, 4, 4),
        (1,),
    ]
    assert d(volume, condition).shape == (1,)


@pytest.mark.parametrize(("side", "width"), [(128, 0.5), (256, 0.5), (512, 1.0)])
def test_smaller_sides_and_half_width_have_shapes_in_proportion(side, width):
    g, d = on_meta(side, width)
    maps = torch.empty(2, 4, side, side, device="meta")
    latent = g.latent(maps)
    volume = g.volume(latent)
    assert latent.shape == (2, 256 * width, side // 8, side // 8)
    assert volume.shape == (2, 3, 3 * side // 32, side // 8, side // 8)
    assert depth_of(side) == volume.shape[2]
    assert d(volume, d.condition(maps)).shape == (2,)


def test_volumes_are_positive_and_a_channel_of_the_volume_is_one_axis_block():
    torch.manual_seed(0)
    g, maps = VolumeGenerator(128, 0.125), torch.rand(2, 4, 128, 128)
    with torch.no_grad():
        assert g(maps).min() >= 0
        for conv in (module for module in g.fusion.modules() if isinstance(module, nn.Conv3d)):
            nn.init.zeros_(conv.weight)
        latent = g.latent(maps)
        assert torch.equal(g.volume(latent)[:, 1], g.y(latent))  # the maps of the block are the depth axis


def test_relu_follows_each_convolution_and_the_sum():
    torch.manual_seed(0)
    block = Residual(3, conv2)
    x = torch.randn(2, 3, 8, 8)
    first, second = (module for module in block.modules() if isinstance(module, nn.Conv2d))
    expected = F.relu(x + F.relu(second(F.relu(first(x)))))
    assert torch.equal(block(x), expected)


def test_weights_start_within_two_deviations_and_biases_at_zero():
    torch.manual_seed(0)
    g = VolumeGenerator(128, 0.25)
    for name, value in g.named_parameters():
        if name.endswith("bias"):
            assert not value.any()
        else:
            assert value.abs().max() <= 0.04
    assert g.x.layers[0].path[0].weight.std().item() == pytest.approx(0.0176, abs=5e-4)


def test_directions_are_centred_where_there_is_hair():
    maps = torch.zeros(1, 4, 1, 2)
    maps[0, :, 0, 1] = torch.tensor([1.0, 0.25, 0.7, 0.4])
    assert torch.equal(signed(maps)[0, :, 0, 1], torch.tensor([1.0, -0.5, 0.7, 0.4]))
    assert not signed(maps)[0, :, 0, 0].any()


def test_without_a_latent_the_axes_give_the_volume_that_g_starts_at():
    net = VolumeGenerator(128, 0.03, "he")
    mean = torch.rand(3, 12)
    net.start_at(mean)
    found = net.z(torch.zeros(1, 8, 16, 16))
    assert torch.allclose(found[0], mean[2].view(-1, 1, 1).expand(-1, 16, 16))
