"""lapgan: the pyramid and its way back, levels trained apart, label planes where there are several classes."""

import pytest
import torch
from torch.nn import functional as F

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.specs import SampleRequest, Task
from derm_bench.training.feed import FeedOptions
from derm_bench.training.losses import discriminator_loss, generator_loss
from derm_bench.training.seeding import stream
from derm_bench.training.stage_run import StageRun, seed_everything
from derm_bench_plugins.generators import specs
from derm_bench_plugins.generators.lapgan import Lapgan, details, pyramid, rebuilt, up
from derm_bench_plugins.generators.specs.lapgan import LapganOptions

TINY = LapganOptions(base=4, hidden=16, z_dim=8, batch_size=8)
CLASSES = ("mel", "nv")


def tiny(classes=("mel",), size=32, options=TINY, seed=0):
    seed_everything(seed)
    return Lapgan(options, Task(classes, size))


def pictures(n=8, size=32):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1


def train_set(classes=("mel",), n=16, size=32):
    names = tuple(map(str, range(n)))
    images = ((pictures(n, size) + 1) * 127.5).byte()
    return ImageSet(images, torch.arange(n) % len(classes), classes, names, names)


def test_a_pyramid_and_what_it_leaves_out_give_the_image_back():
    images = pictures(size=64)
    sides = pyramid(images, 4)
    assert [tuple(side.shape[1:]) for side in sides] == [(3, s, s) for s in (8, 16, 32, 64)]
    assert torch.allclose(sides[0][0, :, 0, 0], images[0, :, :8, :8].mean((1, 2)), atol=1e-6)
    left_out = details(sides)
    assert torch.allclose(rebuilt(sides[0], left_out), images, atol=1e-6)
    assert max(part.abs().max() for part in left_out) > 0.1
    grey = pyramid(torch.full((1, 3, 32, 32), 0.3), 3)
    assert max(part.abs().max() for part in details(grey)) < 1e-6


def test_blowing_up_is_bilinear():
    row = torch.tensor([0.0, 4.0]).expand(1, 1, 2, 2)
    assert up(row)[0, 0, 1].tolist() == [0, 1, 3, 4]


@torch.no_grad()
def test_networks_are_those_of_the_paper():
    with torch.device("meta"):
        gan = Lapgan(LapganOptions(), Task(("mel",), 64, device="meta"))
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in gan.parts().items()}
    base_g = 101 * 1200 + 1201 * 1200 + 1201 * 192
    level_g = (4 * 49 + 1) * 64 + (64 * 49 + 1) * 64 + (64 * 25 + 1) * 3
    assert count["generator"] == base_g + 3 * level_g
    base_d = 193 * 600 + 601 * 600 + 601
    level_d = (3 * 25 + 1) * 64 + (64 * 25 + 1) * 64
    assert count["discriminator"] == base_d + 3 * level_d + sum(64 * s * s + 1 for s in (8, 16, 32))


def test_a_level_is_trained_on_the_real_image_below_it_and_on_nothing_else():
    gan = tiny()
    reals, targets = pyramid(pictures(), 3), torch.ones(8, 1)
    noise = gan.prior(8, stream(0, "z"))
    assert noise.shape == (8, 8 + 256 + 1024) and -1 <= noise.min() < -0.99 and 0.99 < noise.max() <= 1
    fakes = gan.generator.by_level(noise, reals, targets)
    plane = noise[:, 8 + 256 :].reshape(8, 1, 32, 32)
    coarse = F.interpolate(reals[1], scale_factor=2, mode="bilinear")
    want = coarse + gan.generator.levels[1].net(torch.cat([coarse, plane], 1))
    assert torch.allclose(fakes[2], want, atol=1e-6)
    # The loss of one level moves no other: each is as if trained alone.
    logits = gan.discriminator(fakes, targets)
    generator_loss(logits[1]).backward()
    for net in (gan.generator, gan.discriminator):
        moved = [any(p.grad is not None for p in part.parameters()) for part in (net.base, *net.levels)]
        assert moved == [False, True, False]


def test_losses_of_an_update_are_those_of_each_level_by_hand():
    """At a vanishing rate, without dropout: the logged losses are those of the networks as they are."""
    gan = tiny(options=TINY.model_copy(update={"dropout": 0.0, "lr": 1e-12}))
    run = StageRun(seed=0, budget=1, feed=FeedOptions(batch_size=8))
    batch = next(iter(StageRun(seed=0, budget=1, feed=FeedOptions(batch_size=8)).batches(train_set())))
    noise = gan.prior(8, stream(0, "z"))
    reals = pyramid(batch.images, 3)
    with torch.no_grad():
        fakes = gan.generator.by_level(noise, reals, batch.targets)
        real, fake = (gan.discriminator(images, batch.targets) for images in (reals, fakes))
    gan.fit(train_set(), run)
    logged = {row.metric: row.value for row in run.history()}
    for k, side in enumerate((8, 16, 32)):
        assert logged[f"loss_d_{side}"] == pytest.approx(
            discriminator_loss(real[k], fake[k]).item(), rel=1e-4
        )
        assert logged[f"loss_g_{side}"] == pytest.approx(F.softplus(-fake[k]).mean().item(), rel=1e-4)
    assert logged["d_real"] == pytest.approx(torch.stack(real).sigmoid().mean().item(), rel=1e-4)


def test_one_adam_over_the_sum_takes_the_steps_of_one_a_level():
    """The statement that training all levels in an update is training them apart."""
    weights = {}
    for alone in (False, True):
        gan = tiny(size=16, options=TINY.model_copy(update={"dropout": 0.0}))
        reals, targets = pyramid(pictures(size=16), 2), torch.ones(8, 1)
        fakes = [f.detach() for f in gan.generator.by_level(gan.prior(8, stream(0, "z")), reals, targets)]
        d = gan.discriminator
        groups = [d.base, *d.levels] if alone else [d]
        adams = [torch.optim.Adam(part.parameters(), 2e-4, (0.5, 0.999)) for part in groups]
        for _ in range(3):
            losses = list(map(discriminator_loss, d(reals, targets), d(fakes, targets)))
            for adam in adams:
                adam.zero_grad()
            (losses[0] + losses[1]).backward()
            for adam in adams:
                adam.step()
        weights[alone] = [p.detach() for p in d.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(weights[False], weights[True], strict=True))


def test_sampling_chains_the_levels():
    gan = tiny()
    z = gan.prior(5, stream(0, "z"))
    with torch.no_grad():
        image = gan.generator.base(z[:, :8], None)
        for level, plane in zip(gan.generator.levels, z[:, 8:].split([256, 1024], 1), strict=True):
            image = up(image) + level(up(image), plane, None)
        assert torch.equal(gan.render(z, 0), image)


def test_several_classes_share_a_pyramid_with_label_planes_and_one_has_none():
    assert tiny().generator.levels[0].label_plane is None
    gan = tiny(CLASSES)
    level = gan.generator.levels[0]
    targets = torch.eye(2)
    plane = level.label_plane(targets)
    want = (
        (level.label_plane.linear.weight.T + level.label_plane.linear.bias).clamp(min=0).reshape(2, 1, 16, 16)
    )
    assert torch.allclose(plane, want) and not torch.equal(plane[0], plane[1])
    coarse, noise = pictures(2, 16), torch.rand(2, 256)
    seen = level.net(torch.cat([coarse, noise.reshape(2, 1, 16, 16), want], 1))
    assert torch.allclose(level(coarse, noise, targets), seen, atol=1e-6)
    judged = gan.discriminator.levels[0]
    assert not torch.allclose(judged(coarse, targets), judged(coarse, targets.flip(0)))
    gan.fit(train_set(CLASSES), StageRun(seed=0, budget=2, feed=FeedOptions(batch_size=8)))
    one, other = (gan.sample(SampleRequest(label, 4, 1)).images for label in (0, 1))
    assert one.shape == (4, 3, 32, 32) and not torch.equal(one, other)


def test_a_pyramid_a_class_is_the_default_scope_and_the_preset_reaches_256():
    (spec,) = [spec for spec in specs() if spec.name == "lapgan"]
    assert spec.conditional and spec.options().scope == "per_class"
    options = spec.options(**spec.presets["melanogan"])
    with torch.device("meta"):
        gan = Lapgan(options, Task(("mel",), options.size, device="meta"))
    assert gan.sides == [8, 16, 32, 64, 128, 256]


@pytest.mark.parametrize("size", [12, 48])
def test_a_side_that_is_no_power_of_two_is_refused(size):
    with pytest.raises(UserError, match=f"lapgan makes images whose side is a power of two, not {size}"):
        tiny(size=size)


def test_z_matters_from_the_start_and_details_start_small():
    """From torch's own initial weights the base gives nearly one image, and is long in leaving it."""
    gan = tiny(options=LapganOptions(base=16, hidden=256), size=16)
    with torch.no_grad():
        noise = gan.prior(256, stream(0, "z"))
        base = gan.generator.base(noise[:, :100], None)
        detail = gan.generator.levels[0](up(base), noise[:, 100:], None)
    assert base.std(0).mean() > 0.3 and 0.01 < detail.std() < 0.3
