"""vanilla-gan: perceptrons of the stated widths, any side, and the losses of Goodfellow."""

import pytest
import torch
from tests.generators.test_dcgan import train_set
from torch import nn

from derm_bench.specs import SampleRequest, Task
from derm_bench.training.feed import FeedOptions
from derm_bench.training.stage_run import StageRun, seed_everything
from derm_bench_plugins.generators.specs.vanilla_gan import VanillaOptions
from derm_bench_plugins.generators.vanilla_gan import VanillaGan

TINY = VanillaOptions(base=8, z_dim=4, batch_size=8)


def test_layers_are_those_of_its_table():
    with torch.device("meta"):
        gan = VanillaGan(VanillaOptions(), Task(("mel",), 64, device="meta"))
    widths = {
        name: [(m.in_features, m.out_features) for m in part.modules() if isinstance(m, nn.Linear)]
        for name, part in gan.parts().items()
    }
    pixels = 64 * 64 * 3
    assert widths["generator"] == [(100, 256), (256, 512), (512, 1024), (1024, pixels)]
    assert widths["discriminator"] == [(pixels, 512), (512, 256), (256, 1)]
    assert not any(isinstance(m, nn.BatchNorm1d) for part in gan.parts().values() for m in part.modules())


@pytest.mark.parametrize("size", [8, 20])
def test_any_side_will_do(size):
    gan = VanillaGan(TINY, Task(("mel",), size))
    gan.fit(train_set(size=size), StageRun(seed=0, budget=2, feed=FeedOptions(batch_size=8)))
    images = gan.sample(SampleRequest(0, 3, 1)).images
    assert images.shape == (3, 3, size, size) and not torch.equal(images[0], images[1])


def test_an_update_is_one_of_d_then_one_of_g_by_binary_cross_entropy():
    """One update of the plugin beside the same one written out, from equal weights, noise and images."""
    gans = []
    for _ in range(2):
        seed_everything(0)
        gans.append(VanillaGan(TINY, Task(("mel",), 8)))
    gan, plain = gans
    seen = []

    def prior(n, noise):
        seen.append(torch.randn(n, 4, generator=noise))
        return seen[-1]

    gan.prior = prior
    run = StageRun(seed=0, budget=1, feed=FeedOptions(batch_size=8))
    gan.fit(train_set(size=8), run)
    (batch,) = StageRun(seed=0, budget=1, feed=FeedOptions(batch_size=8)).batches(train_set(size=8))
    g, d, ones = plain.generator, plain.discriminator, torch.ones(8)
    adam = {
        net: torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999), fused=True, foreach=False)
        for net in (g, d)
    }
    cross_entropy = nn.functional.binary_cross_entropy
    fake = g(seen[-1])
    loss_d = cross_entropy(d(batch.images).sigmoid(), ones) + cross_entropy(
        d(fake.detach()).sigmoid(), 0 * ones
    )
    loss_d.backward()
    adam[d].step()
    loss_g = cross_entropy(d(fake).sigmoid(), ones)
    loss_g.backward()
    adam[g].step()
    logged = {row.metric: row.value for row in run.history()}
    assert logged["loss_d"] == pytest.approx(loss_d.item(), rel=1e-5)
    assert logged["loss_g"] == pytest.approx(loss_g.item(), rel=1e-5)
    for own, other in zip(gan.state().values(), plain.state().values(), strict=True):
        assert torch.allclose(own, other, atol=1e-5)
