"""dermagan: the layers and weights of paper 003, without biases."""

import pytest
import torch
from tests.generators.test_dcgan import shapes
from torch import nn

from derm_bench.specs import Task
from derm_bench.training.seeding import stream
from derm_bench_plugins.generators.dermagan import DermaGan
from derm_bench_plugins.generators.specs.dermagan import DermaganOptions

WEIGHTS = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return DermaGan(DermaganOptions(), Task(("mel",), 64, device="meta"))


@torch.no_grad()
def test_layers_are_those_of_the_paper(paper):
    g = shapes(paper.generator, torch.empty(2, 512, device="meta"))
    d = shapes(paper.discriminator, torch.empty(2, 3, 64, 64, device="meta"))
    assert g == [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (3, 64, 64)]
    assert d == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]
    assert paper.discriminator(torch.empty(2, 3, 64, 64, device="meta")).shape == (2,)


def test_its_convolutions_have_as_many_weights_as_the_papers(paper):
    def weights(net):
        modules = [m for m in net.modules() if isinstance(m, WEIGHTS)]
        assert all(m.bias is None for m in modules) and len(modules) == 5
        return sum(m.weight.numel() for m in modules)

    assert weights(paper.generator) == 6_949_888
    assert weights(paper.discriminator) == 2_763_776


def test_all_kernels_are_four_pixels_wide(paper):
    convolutions = [
        m
        for net in paper.parts().values()
        for m in net.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert {m.kernel_size for m in convolutions} == {(4, 4)} and len(convolutions) == 9


def test_z_is_normal_and_training_as_stated(paper):
    options = paper.options
    assert (options.batch_size, options.lr, options.betas) == (64, 2e-4, (0.5, 0.999))
    z = paper.prior(200, stream(0, "z"))
    assert z.shape == (200, 512) and z.var().item() == pytest.approx(1, rel=0.03) and z.max() > 3
