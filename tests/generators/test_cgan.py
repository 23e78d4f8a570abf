"""cgan: the projection discriminator, the embedding in G, and both losses."""

import math

import pytest
import torch
from pydantic import ValidationError
from tests.generators.test_dcgan import shapes

from derm_bench.specs import Task
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.runs import RecordedRun
from derm_bench.training.seeding import stream
from derm_bench_plugins.generators.cgan import Cgan
from derm_bench_plugins.generators.specs.cgan import SPEC, CganOptions

CLASSES = ("mel", "nv", "bkl")


def tiny(**options):
    torch.manual_seed(0)
    return Cgan(CganOptions(base=8, z_dim=6, **options), Task(CLASSES, 16))


def one_hot(*labels):
    return torch.eye(len(CLASSES))[list(labels)]


@torch.no_grad()
def test_layers_are_those_of_dcgan_with_the_class_in_batch_norm_and_projection():
    with torch.device("meta"):
        gan = Cgan(CganOptions(spectral_norm=False), Task(CLASSES, 64, device="meta"))
        g = shapes(gan.generator, (torch.empty(2, 100), torch.empty(2, 3)))
    assert g == [(1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]
    assert [norm.scale.shape for norm in gan.generator.norms] == [(3, c) for c in (1024, 512, 256, 128)]
    assert gan.discriminator.embed.weight.shape == (1024, 3)
    assert gan.discriminator.logit.weight.shape == (1, 1024)


def test_d_is_spectrally_normalised_and_has_no_batch_norm():
    gan = tiny()
    for _ in range(20):
        gan.discriminator(torch.rand(2, 3, 16, 16), one_hot(0, 1))
    assert not [m for m in gan.discriminator.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for layer in gan.discriminator.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, rel=0.05)


@torch.no_grad()
def test_the_form_of_2014_joins_the_class_with_z_and_with_the_images():
    gan = tiny(conditional_norm=False, discriminator="planes", spectral_norm=False)
    first = gan.discriminator.net.from_rgb[0]
    assert first.in_channels == 3 + len(CLASSES)
    d, image = gan.discriminator.eval(), torch.rand(1, 3, 16, 16)
    by_hand = torch.cat(
        [image, torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)], 1
    )
    assert torch.allclose(d(image, one_hot(1)), d.net(by_hand))
    assert set(SPEC.presets["mirza"].items()) >= {
        ("discriminator", "planes"),
        ("loss", "bce"),
        ("d_steps", 1),
    }


@torch.no_grad()
def test_the_projection_is_the_inner_product_of_features_and_the_embedding_of_the_class():
    d, images = tiny(spectral_norm=False).discriminator.eval(), torch.rand(3, 3, 16, 16)
    labels = [2, 0, 2]
    maps = d.trunk.maps(images)
    for row, label in enumerate(labels):
        phi = [maps[row, c].sum().item() for c in range(maps.shape[1])]
        v, w = d.embed.weight[:, label].tolist(), d.logit.weight[0].tolist()
        f = sum(a * b for a, b in zip(v, phi, strict=True)) + sum(a * b for a, b in zip(w, phi, strict=True))
        assert d(images, one_hot(*labels))[row].item() == pytest.approx(f + d.logit.bias.item(), abs=1e-5)


@torch.no_grad()
def test_g_takes_z_beside_the_embedding_of_the_class():
    g, z = tiny(conditional_norm=False).generator.eval(), torch.randn(2, 6)
    rows = torch.stack([g.embed.weight[:, 2], g.embed.weight[:, 1]])
    assert torch.allclose(g(z, one_hot(2, 1)), g.net(torch.cat([z, rows], dim=1)))
    # A tenth of z: more, and the samples of a class become one image.
    assert g.embed.weight.std().item() == pytest.approx(0.1, rel=0.4)


def test_both_losses_are_those_of_their_names():
    real, fake = torch.tensor([math.log(3), 0.5]), torch.tensor([-math.log(4), 2.0])
    targets = one_hot(0, 1)
    gan = tiny(loss="hinge")
    assert gan.loss_d(real, fake, targets).item() == pytest.approx((0 + 0.5) / 2 + (0 + 3) / 2)
    assert gan.loss_g(fake, targets).item() == pytest.approx((math.log(4) - 2) / 2)
    gan = tiny(loss="bce")
    first, second = -math.log(3 / 4) - math.log(4 / 5), math.log1p(math.exp(-0.5)) + math.log1p(math.exp(2))
    assert gan.loss_d(real, fake, targets).item() == pytest.approx((first + second) / 2)
    assert gan.loss_g(fake, targets).item() == pytest.approx((math.log(5) + math.log1p(math.exp(-2))) / 2)


def test_probabilities_are_logged_as_such_and_scores_under_their_own_names():
    train = phantoms(classes=3, per_class=4, size=16)
    for loss, names in (("bce", {"d_real", "d_fake"}), ("hinge", {"score_real", "score_fake"})):
        gan, run = tiny(loss=loss, batch_size=4, d_steps=1), RecordedRun(seed=0, budget=2)
        verdicts = []
        gan.discriminator.register_forward_hook(lambda *call, kept=verdicts: kept.append(call[-1].detach()))
        gan.fit(train, run)
        rows = {row.metric: row.value for row in run.history() if row.step == 2}
        assert set(rows) == {"loss_d", "loss_g", *names}
        for name, logits in zip(("real", "fake"), verdicts[3:5], strict=True):
            if loss == "bce":
                assert rows[f"d_{name}"] == pytest.approx(logits.sigmoid().mean().item())
            else:
                assert rows[f"score_{name}"] == pytest.approx(logits.mean().item())


def test_noise_is_normal():
    assert tiny().prior(2000, stream(0, "z")).var().item() == pytest.approx(1, rel=0.05)


def test_smoothing_lowers_the_target_of_bce_and_is_refused_with_hinge():
    real, fake, targets = torch.tensor([2.0]), torch.tensor([-1.0]), one_hot(0)
    plain, smoothed = (tiny(loss="bce", smoothing=s).loss_d(real, fake, targets).item() for s in (0.0, 0.1))
    assert smoothed - plain == pytest.approx(0.1 * 2)
    with pytest.raises(ValidationError, match="write loss: bce"):
        CganOptions(smoothing=0.1)
