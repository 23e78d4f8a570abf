"""Spectral normalisation, against the singular values and against torch's own."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from derm_bench.training.ema import Ema
from derm_bench.training.spectral_norm import SpectralNorm, spectrally_normalised

LAYERS = {
    "conv": lambda: nn.Conv2d(3, 6, 3),
    "transposed": lambda: nn.ConvTranspose2d(3, 6, 4),
    "linear": lambda: nn.Linear(12, 5),
    "embedding": lambda: nn.Embedding(4, 7),
}


def matrix(layer):
    weight = layer.weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else layer.weight
    return weight.detach().flatten(1)


def discriminator():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 16, 1)
    )


@pytest.mark.parametrize("kind", LAYERS)
def test_the_largest_singular_value_of_every_kind_of_layer_becomes_one(kind):
    torch.manual_seed(0)
    layer = spectrally_normalised(LAYERS[kind]())
    for _ in range(60):
        assert layer.weight.shape  # each access in train mode is a step of the power iteration
    assert torch.linalg.svdvals(matrix(layer))[0].item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", LAYERS)
def test_weights_and_gradients_are_those_of_torch(kind):
    torch.manual_seed(0)
    ours = LAYERS[kind]()
    theirs = parametrizations.spectral_norm(copy.deepcopy(ours))
    spectrally_normalised(ours)
    estimate, theirs_estimate = ours.parametrizations.weight[0], theirs.parametrizations.weight[0]
    estimate.u.copy_(theirs_estimate._u)
    estimate.v.copy_(theirs_estimate._v)
    for _ in range(3):
        one, other = ours.weight, theirs.weight
        torch.testing.assert_close(one, other)
    one.pow(3).sum().backward()
    other.pow(3).sum().backward()
    torch.testing.assert_close(
        ours.parametrizations.weight.original.grad, theirs.parametrizations.weight.original.grad
    )


def test_all_layers_of_a_network_are_normalised_once_and_biases_and_norms_are_not():
    net = spectrally_normalised(spectrally_normalised(discriminator()))
    assert [sum(isinstance(m, SpectralNorm) for m in layer.modules()) for layer in net] == [1, 0, 0, 0, 1]
    assert {name for name, _ in net.named_parameters()} == {
        "0.bias", "0.parametrizations.weight.original", "2.weight", "2.bias",
        "4.bias", "4.parametrizations.weight.original",
    }  # fmt: skip


def test_two_forward_passes_have_gradients_as_a_discriminator_s_update_needs():
    net = spectrally_normalised(discriminator())
    real, fake = net(torch.randn(4, 3, 8, 8)), net(torch.randn(4, 3, 8, 8))
    (fake.mean() - real.mean()).backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_in_eval_mode_the_estimate_stays():
    net = spectrally_normalised(discriminator())
    net(torch.randn(4, 3, 8, 8))
    kept = net.eval()[0].parametrizations.weight[0].u.clone()
    first = net(torch.ones(1, 3, 8, 8))
    assert torch.equal(net(torch.ones(1, 3, 8, 8)), first)
    assert torch.equal(net[0].parametrizations.weight[0].u, kept)


def test_the_estimate_is_float32_under_autocast_too():
    net = spectrally_normalised(discriminator()).eval()
    plain = net[0].weight
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(net[0].weight, plain) and plain.dtype == torch.float32
        assert net(torch.ones(2, 3, 8, 8)).dtype == torch.bfloat16


def test_a_state_is_restored_and_an_average_follows():
    net = spectrally_normalised(discriminator())
    average = Ema(net, 0.0)
    net(torch.randn(4, 3, 8, 8))
    again = spectrally_normalised(discriminator())
    again.load_state_dict(net.state_dict())
    average.update()
    images = torch.randn(2, 3, 8, 8)
    expected = net.eval()(images)
    assert torch.equal(again.eval()(images), expected)
    torch.testing.assert_close(average.net(images), expected)
