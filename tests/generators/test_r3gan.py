"""r3gan: the loss, the penalties, the schedules and the networks are those of the paper."""

import math

import pytest
import torch

from derm_bench.specs import Task
from derm_bench.training.losses import r1_penalty
from derm_bench_plugins.generators.gan_cost import residual
from derm_bench_plugins.generators.r3gan import LEVELS, R3gan, between, level
from derm_bench_plugins.generators.r3gan_nets import Discriminator, Generator, ResidualBlock
from derm_bench_plugins.generators.specs.r3gan import PRESETS, SPEC, R3ganOptions
from derm_bench_plugins.generators.stylegan2_nets import widths

SIZES = {"blocks": 1, "expansion": 2, "group_width": 4}


def discriminator(classes=0, channels=(8, 8)):
    torch.manual_seed(0)
    net = Discriminator(list(channels), embedding=6, classes=classes, **SIZES).double()
    for parameter in net.parameters():  # the last convolution of a block begins with zero
        torch.nn.init.normal_(parameter, std=0.3)
    return net


def test_penalties_agree_with_finite_differences():
    net, points = discriminator(), torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    slopes = torch.zeros_like(points).flatten(1)
    with torch.no_grad():
        for i in range(slopes.shape[1]):
            step = torch.zeros(192, dtype=torch.float64)
            step[i] = 1e-5
            ahead, behind = (points + sign * step.view(1, 3, 8, 8) for sign in (1, -1))
            slopes[:, i] = (net(ahead) - net(behind)) / 2e-5
    assert r1_penalty(net(points), points).item() == pytest.approx(
        slopes.square().sum(1).mean().item(), rel=1e-4
    )


def test_the_gradient_of_a_penalty_agrees_with_finite_differences():
    net, points = discriminator(), torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    weight = net.pool.weight
    (slope,) = torch.autograd.grad(r1_penalty(net(points), points), weight)

    def moved(by):
        with torch.no_grad():
            weight[3, 0, 1, 2] += by
        value = r1_penalty(net(points), points).item()
        with torch.no_grad():
            weight[3, 0, 1, 2] -= by
        return value

    assert slope[3, 0, 1, 2].item() == pytest.approx((moved(1e-3) - moved(-1e-3)) / 2e-3, rel=1e-2)


def test_schedules_go_from_the_first_to_the_last_value_within_the_burn_in():
    assert [level(step, 160) for step in (1, 11, 81, 161, 10_000)] == [0, 1, 8, LEVELS, LEVELS]
    assert between(2.0, 0.2, 0) == 2.0 and between(2.0, 0.2, LEVELS) == 0.2
    assert between(2.0, 0.2, LEVELS // 2) == pytest.approx(1.1)
    values = [between(2.0, 0.2, at) for at in range(LEVELS + 1)]
    assert values == sorted(values, reverse=True)


def test_the_burn_in_is_a_fifth_of_the_budget_or_as_many_images_as_stated():
    def gan(**options):
        return R3gan(R3ganOptions(**PRESETS["tiny"] | options), Task(("a",), 16))

    assert gan().burn_in(1000) == 200 and gan().burn_in(2) == 1
    assert gan(burn_in_kimg=1.0, batch_size=10).burn_in(5000) == 100


def test_a_new_block_changes_nothing_and_has_grouped_convolutions():
    block, x = ResidualBlock(8, expansion=2, group_width=4, depth=16), torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x), x)
    assert block.grouped.groups == 4 and block.grouped.weight.shape == (16, 4, 3, 3)
    wide = ResidualBlock(256, expansion=2, group_width=16, depth=16).widen.weight
    assert wide.std().item() == pytest.approx(math.sqrt(2 / 1.04 / 256) / 2, rel=0.02)


def test_networks_have_as_many_weights_as_counted_by_hand():
    block = {c: 2 * c * 2 * c + 2 * c * 4 * 9 + 2 * 2 * c for c in (8, 4)}
    body = block[8] + block[4] + 8 * 4  # blocks at 4 and 8 px, and a 1x1 between them
    g = Generator([8, 4], z_dim=5, embedding=6, classes=0, **SIZES)
    d = Discriminator([8, 4], embedding=6, classes=0, **SIZES)
    assert sum(p.numel() for p in g.parameters()) == body + 5 * 8 + 8 * 16 + 4 * 3
    assert sum(p.numel() for p in d.parameters()) == body + 3 * 4 + 8 * 16 + 8
    conditional = Discriminator([8, 4], embedding=6, classes=3, **SIZES)
    assert sum(p.numel() for p in conditional.parameters()) == body + 3 * 4 + 8 * 16 + 8 * 6 + 6 * 3


def test_the_class_changes_images_and_logits():
    torch.manual_seed(0)
    g, d = Generator([8, 8], z_dim=5, embedding=6, classes=2, **SIZES), discriminator(2)
    z, both = torch.randn(1, 5).expand(2, -1), torch.eye(2)
    images = g(z, both)
    assert images.shape == (2, 3, 8, 8) and not torch.allclose(images[0], images[1])
    scores = d(images[:1].double().expand(2, -1, -1, -1), both.double())
    assert scores.shape == (2,) and scores[0] != scores[1]


@pytest.mark.parametrize(
    ("preset", "side", "channels"),
    [
        ("cifar", 32, [768] * 4),
        ("ffhq64", 64, [768] * 4 + [384]),
        ("ffhq256", 256, [768] * 4 + [384, 192, 96]),
    ],
)
def test_presets_of_the_authors_have_their_channels_and_groups(preset, side, channels):
    options = SPEC.options(**PRESETS[preset])
    assert widths(side, options.base, options.widest) == channels
    groups = [width * options.expansion // options.group_width for width in channels]
    assert groups == [width // 8 for width in channels]  # 96 at 768 channels
    assert options.burn_in_kimg == 20_000 and options.gamma[0] == pytest.approx(10 * options.gamma[1])


def test_presets_are_valid_and_cost_follows_them():
    costs = {name: residual(SPEC.options(**preset).model_dump(), 64) for name, preset in PRESETS.items()}
    assert costs["tiny"] < costs["smoke"] < costs["small"]
    assert residual({"base": 8, "widest": 8, "blocks": 1, "expansion": 2, "group_width": 4}, 4) == 2 * 16 * (
        2 * 4 * 2 + 9 * 4 * 4
    )
    assert residual({}, 64) is None
