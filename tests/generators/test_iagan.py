"""iagan: inception blocks, attention, and samples that depend on a real image and on noise."""

import pytest
import torch

from derm_bench.specs import SampleRequest, Task
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.runs import RecordedRun
from derm_bench.training.nets import SelfAttention
from derm_bench.training.stage_run import seed_everything
from derm_bench_plugins.generators.iagan import Iagan, Inception
from derm_bench_plugins.generators.specs.iagan import IaganOptions


def train_set(size=16):
    images = phantoms(size=size)
    return images.of_classes(images.classes[:1])


def tiny(size=16, **options):
    seed_everything(0)
    return Iagan(
        IaganOptions(**{"base": 4, "code": 4, "z_dim": 6, "batch_size": 8, **options}), Task(("red",), size)
    )


def fitted(**options):
    gan = tiny(**options)
    gan.fit(train_set(), RecordedRun(seed=0, budget=3))
    return gan


def test_an_inception_block_sees_1_3_5_and_3_pixels_with_a_quarter_of_its_channels_each():
    torch.manual_seed(0)  # with an unlucky draw, no channel of a branch is active at the pixel
    block = Inception(3, 20).double().eval()
    x = torch.rand(1, 3, 11, 11, dtype=torch.float64, requires_grad=True)
    out = block(x)
    assert out.shape == (1, 20, 11, 11)
    seen = []
    for quarter in out.split(5, dim=1):
        (slope,) = torch.autograd.grad(quarter[0, :, 5, 5].sum(), x, retain_graph=True)
        reached = slope.abs().sum(dim=(0, 1)) > 0
        seen.append(int(reached.any(dim=0).sum()))
    # Pooling passes gradients to one pixel of its 3x3 a channel, so that two or three columns of it show.
    assert seen[:3] == [1, 3, 5] and seen[3] in (1, 2, 3)
    with torch.no_grad():
        base = block(x)[0, 15:, 5, 5]
        lifted = x.clone()
        lifted[0, :, 4, 4] = 9.0
        assert not torch.equal(block(lifted)[0, 15:, 5, 5], base)
        lifted = x.clone()
        lifted[0, :, 3, 5] = 9.0
        assert torch.equal(block(lifted)[0, 15:, 5, 5], base)


def test_an_image_becomes_a_small_map_and_maps_of_16_pixels_attend():
    with torch.device("meta"):
        gan = Iagan(IaganOptions(), Task(("red",), 64, device="meta"))
    seen = []
    for module in [*gan.generator.modules(), *gan.discriminator.modules()]:
        if isinstance(module, SelfAttention):
            module.register_forward_hook(lambda m, i, out: seen.append(out.shape[-1]))
    images, z = torch.empty(2, 3, 64, 64, device="meta"), torch.empty(2, 100, device="meta")
    assert gan.generator.encode(images).shape == (2, 64, 4, 4)
    assert gan.generator(images, z).shape == images.shape and gan.discriminator(images).shape == (2,)
    assert seen == [16, 16, 16, 16]  # encode twice, decode, D
    made = tiny(32).generator.eval()
    assert made(torch.zeros(1, 3, 32, 32), torch.zeros(1, 6)).shape == (1, 3, 32, 32)


def test_the_image_and_the_noise_both_matter():
    generator = fitted().generator.eval()
    images, z = torch.rand(2, 3, 16, 16) * 2 - 1, torch.randn(2, 6)
    with torch.no_grad():
        base = generator(images, z)
        assert (generator(images, z.flip(0)) - base).abs().max() > 1e-3
        assert (generator(images.flip(0), z) - base).abs().max() > 1e-3
        assert torch.allclose(generator(images[:1], z[:1]), base[:1], atol=1e-5)


@pytest.mark.parametrize("chunk", [4, 7])
def test_each_real_image_goes_in_with_several_z_whatever_the_chunks(chunk):
    train, gan = train_set(), fitted(z_per_image=5)
    parts = [gan.sample(SampleRequest(0, chunk, start, start), train) for start in range(0, 84, chunk)]
    ids = [name for part in parts for name in part.source_ids]
    assert all(len(set(ids[k : k + 5])) == 1 for k in range(0, 80, 5))
    assert len(set(ids[:80])) == 16 == len(train)
    images = torch.cat([part.images for part in parts])
    assert len(images[:5].flatten(1).unique(dim=0)) == 5


@pytest.mark.parametrize("options", [{}, {"batch_size": 2, "z_per_image": 1}])
def test_a_class_of_one_image_is_enough(options):
    """It fills the batches, and noise alone tells its samples apart."""
    gan, one = tiny(**options), train_set().subset([3])
    gan.fit(one, RecordedRun(seed=0, budget=2))
    samples = gan.sample(SampleRequest(0, 12, 0), one)
    assert set(samples.source_ids) == set(one.ids)
    assert len(samples.images.flatten(1).unique(dim=0)) == 12


def test_both_networks_learn():
    before, after = tiny().state(), fitted().state()
    for key in (
        "generator.encode.layers.0.weight",
        "generator.project.0.weight",
        "discriminator.logit.weight",
    ):
        assert not torch.equal(before[key], after[key])
