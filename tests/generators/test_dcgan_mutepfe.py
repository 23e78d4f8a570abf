"""dcgan-mutepfe: the layers of paper 004, and a discriminator that a classifier can be made of."""

import pytest
import torch
from tests.generators.test_dcgan import shapes, train_set
from tests.interrupted import Interrupted, Killed
from torch import nn

from derm_bench.specs import Task
from derm_bench.training.seeding import stream
from derm_bench.training.stage_run import Checkpointing, seed_everything
from derm_bench_plugins.generators.dcgan_mutepfe import DcganMutepfe
from derm_bench_plugins.generators.specs.dcgan_mutepfe import MutepfeOptions


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return DcganMutepfe(MutepfeOptions(), Task(("benign",), 64, device="meta"))


@torch.no_grad()
def test_layers_are_those_of_the_paper(paper):
    g = shapes(paper.generator, torch.empty(2, 128, device="meta"))
    d = shapes(paper.discriminator, torch.empty(2, 3, 64, 64, device="meta"))
    assert g == [(256, 8, 8), (128, 16, 16), (64, 32, 32), (3, 64, 64)]
    assert d == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]
    convolutions = 25 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 3) + 3
    projection, norms = 129 * 512 * 16, 2 * (512 + 256 + 128 + 64)
    assert sum(p.numel() for p in paper.generator.parameters()) == projection + convolutions + norms
    convolutions = 25 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 64
    norms, logit = 2 * (128 + 256 + 512), 512 * 16 + 1
    assert sum(p.numel() for p in paper.discriminator.parameters()) == convolutions + norms + logit


def test_defaults_are_the_papers(paper):
    options = paper.options
    assert (options.batch_size, options.lr, options.betas) == (128, 2e-4, (0.5, 0.999))
    z = paper.prior(500, stream(0, "z"))
    assert z.shape == (500, 128) and z.var().item() == pytest.approx(1, rel=0.03) and z.max() > 3


def test_its_discriminator_becomes_a_classifier_by_another_last_layer():
    gan = DcganMutepfe(MutepfeOptions(base=2, z_dim=4), Task(("benign",), 16))
    net, images = gan.parts()["discriminator"], torch.rand(3, 3, 16, 16)
    assert net.features(images).shape == (3, net.width) == (3, 4 * 4 * 4)
    assert torch.equal(net(images), net.logit(net.features(images)).squeeze(1))
    net.logit = nn.Linear(net.width, 2)
    assert net(images).shape == (3, 2)


def test_sgd_trains_and_goes_on_after_an_interruption(tmp_path):
    def fitted(optimizer, folder=None, die_at=None):
        seed_everything(0)
        gan = DcganMutepfe(
            MutepfeOptions(base=2, z_dim=4, batch_size=8, lr=0.01, optimizer=optimizer), Task(("mel",), 16)
        )
        run = Interrupted(
            die_at=die_at, seed=0, budget=4, checkpointing=Checkpointing(folder=folder, seconds=0)
        )
        gan.fit(train_set(), run)
        return gan.state()

    whole, adam = fitted("sgd"), fitted("adam")
    assert any(not torch.equal(whole[name], adam[name]) for name in whole)
    with pytest.raises(Killed):
        fitted("sgd", tmp_path, die_at=2)
    resumed = fitted("sgd", tmp_path)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
