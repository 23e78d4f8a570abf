"""spggan: growth that follows from the update's number, exact fade-in, two learning rates, penalty in float32."""

import pytest
import torch
from tests.interrupted import Interrupted, Killed
from torch.nn import functional as F

from derm_bench.images import ImageSet
from derm_bench.specs import SampleRequest, Task
from derm_bench.training.feed import FeedOptions
from derm_bench.training.losses import ADVERSARIAL, between, gradient_penalty
from derm_bench.training.nets import SelfAttention
from derm_bench.training.seeding import stream
from derm_bench.training.stage_run import Checkpointing, Snapshots, StageRun, seed_everything
from derm_bench_plugins.generators.specs.spggan import SpgganOptions
from derm_bench_plugins.generators.spggan import Discriminator, Generator, Spggan, at_stage, schedule

TINY = SpgganOptions(base=4, widest=8, z_dim=8, batch_size=8)


def tiny(seed=0, size=16, **options):
    seed_everything(seed)
    return Spggan(TINY.model_copy(update=options), Task(("mel",), size))


def train_set(n=16, size=16):
    names = tuple(map(str, range(n)))
    images = torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(images, torch.zeros(n, dtype=torch.int64), ("mel",), names, names)


# ------------------------------------------------------------------------------------------ growth


def test_growth_alternates_training_and_fading_and_ends_at_full_size():
    stages = [schedule(number, 80, 2, 0.5) for number in range(1, 81)]
    assert stages[:10] == [(0, 1.0)] * 10  # 4x4
    assert stages[10:20] == [(1, pytest.approx(k / 10)) for k in range(10)]  # 8x8 fades in
    assert stages[20:30] == [(1, 1.0)] * 10
    assert stages[30:40] == [(2, pytest.approx(k / 10)) for k in range(10)]
    assert stages[40:] == [(2, 1.0)] * 40
    assert schedule(1, 100, 3, 0.0) == (3, 1.0)
    assert schedule(2, 2, 4, 0.5) == (4, 1.0)


def nets(stage):
    seed_everything(0)
    return Generator(8, [8, 8, 4], 1), Discriminator([8, 8, 4], 1), torch.randn(4, 8), stage


@torch.no_grad()
@pytest.mark.parametrize("stage", [1, 2])
def test_fading_in_starts_at_the_old_image_and_ends_at_the_new_one(stage):
    g, _, z, _ = nets(stage)
    g.alpha.fill_(0.0)
    old = F.interpolate(g(z, stage - 1) if stage == 1 else _unblended(g, z, stage - 1), scale_factor=2)
    assert torch.equal(g(z, stage), old)
    g.alpha.fill_(1.0)
    new = _unblended(g, z, stage)
    assert torch.equal(g(z, stage), new)
    g.alpha.fill_(0.25)
    assert torch.allclose(g(z, stage), 0.75 * old + 0.25 * new, atol=1e-6)


def _unblended(g, z, stage):
    """The image of a stage by its own RGB layer alone."""
    x = g.blocks[0](g.norm(z)[:, :, None, None])
    for k in range(1, stage + 1):
        x = g.blocks[k](F.interpolate(x, scale_factor=2))
    return g.to_rgb[stage](x)


@torch.no_grad()
def test_a_discriminator_at_alpha_zero_judges_the_halved_image_as_before():
    _, d, _, _ = nets(1)
    images = torch.randn(4, 3, 8, 8)
    d.alpha.fill_(0.0)
    assert torch.equal(d(images, 1), d(F.avg_pool2d(images, 2), 0))
    d.alpha.fill_(1.0)
    assert torch.equal(d(images, 1), d.blocks[0](d.blocks[1](d.from_rgb[1](images))).squeeze(1))


def test_reals_fade_in_as_fakes_do():
    images = torch.randn(2, 3, 16, 16)
    eight = F.avg_pool2d(images, 2)
    assert torch.equal(at_stage(images, 1, None), eight)
    old = F.interpolate(F.avg_pool2d(eight, 2), scale_factor=2)
    assert torch.equal(at_stage(images, 1, torch.tensor(0.0)), old)
    assert torch.allclose(at_stage(images, 1, torch.tensor(0.3)), 0.7 * old + 0.3 * eight, atol=1e-6)


# ---------------------------------------------------------------------------------------- networks


def test_at_1024_px_without_attention_the_size_is_that_of_karras_et_al():
    """Their table 2: 23.1 million parameters each, from 512 channels to 16."""
    with torch.device("meta"):
        gan = Spggan(SpgganOptions(), Task(("mel",), 1024, device="meta"))
    for net in (gan.generator, gan.discriminator):
        attention = [module for module in net.modules() if isinstance(module, SelfAttention)]
        extra = sum(p.numel() for p in attention[0].parameters())
        assert len(attention) == 1 and extra == 512 * (64 + 64 + 256 + 256) + 1
        assert (sum(p.numel() for p in net.parameters()) - extra) / 1e6 == pytest.approx(23.1, abs=0.06)


def test_attention_is_at_its_side_in_both_networks():
    gan = tiny(size=32, attention=16)
    seen = []
    for net in (gan.generator, gan.discriminator):
        (block,) = [module for module in net.modules() if isinstance(module, SelfAttention)]
        block.register_forward_hook(lambda m, x, out: seen.append(out.shape[-1]))
    gan.discriminator(gan.generator(torch.randn(4, 8), 3), 3)
    assert seen == [16, 16]
    assert gan.discriminator(gan.generator(torch.randn(4, 8), 1), 1).shape == (4,)
    assert seen == [16, 16]


# ---------------------------------------------------------------------------------------- training


def test_gradient_penalty_of_a_quadratic_critic_by_hand():
    """D(x) = a |x|^2 / 2 has the gradient a x: the penalty is mean (a |x| - 1)^2."""
    points = torch.tensor([[3.0, 4.0], [0.0, 1.0]]).reshape(2, 1, 1, 2).requires_grad_()
    a = torch.tensor(2.0, requires_grad=True)
    penalty = gradient_penalty(a * points.square().sum((1, 2, 3)) / 2, points)
    assert penalty.item() == pytest.approx(((2 * 5 - 1) ** 2 + (2 * 1 - 1) ** 2) / 2)
    penalty.backward()
    assert a.grad.item() == pytest.approx((2 * 5 * (2 * 5 - 1) + 2 * 1 * (2 * 1 - 1)) / 2)


def test_the_penalty_is_taken_in_float32_under_bf16():
    gan = tiny(growth=0.0)
    kinds = []
    gan.discriminator.blocks[0][1].register_forward_hook(lambda m, x, out: kinds.append(out.dtype))
    gan.fit(train_set(), StageRun(seed=0, budget=1, feed=FeedOptions(batch_size=8), precision="bf16"))
    assert kinds == [torch.bfloat16, torch.bfloat16, torch.float32, torch.bfloat16]


def test_losses_of_an_update_by_hand():
    gan = tiny(growth=0.0, lr=1e-12, lr_d=1e-12)
    batch = next(iter(StageRun(seed=0, budget=1, feed=FeedOptions(batch_size=8)).batches(train_set())))
    g, d = gan.trained, gan.discriminator
    fakes = g(gan.prior(8, stream(0, "z")), 2)
    real, fake = d(batch.images, 2), d(fakes, 2)
    points = between(batch.images, fakes, stream(0, "mix"))
    (slope,) = torch.autograd.grad(d(points, 2).sum(), points)
    run = StageRun(seed=0, budget=1, feed=FeedOptions(batch_size=8))
    gan.fit(train_set(), run)
    logged = {row.metric: row.value for row in run.history()}
    assert logged["loss_d"] == pytest.approx((fake.mean() - real.mean()).item(), rel=1e-3, abs=1e-5)
    assert logged["loss_g"] == pytest.approx(-fake.mean().item(), rel=1e-3, abs=1e-5)
    assert logged["penalty"] == pytest.approx(
        ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean().item(), rel=1e-3
    )
    assert "d_real" not in logged and ADVERSARIAL["wgan"][0](real, fake) != 0


def test_the_discriminator_learns_four_times_as_fast():
    """Adam's first step is the learning rate for every weight, whatever the gradient."""
    gan = tiny(growth=0.0)
    before = {part: net.to_rgb[2].bias.clone() for part, net in {"g": gan.trained}.items()}
    d = gan.discriminator.from_rgb[2][0].bias.clone()
    gan.fit(train_set(), StageRun(seed=0, budget=1, feed=FeedOptions(batch_size=8)))
    moved_g = (gan.trained.to_rgb[2].bias - before["g"]).abs().max().item()
    moved_d = (gan.discriminator.from_rgb[2][0].bias - d).abs().max().item()
    assert moved_g == pytest.approx(1e-4, rel=1e-2) and moved_d == pytest.approx(4e-4, rel=1e-2)
    assert SpgganOptions().betas == (0.0, 0.9)


def test_only_what_is_grown_is_trained_and_a_state_samples_at_its_own_stage():
    kept = {}
    gan = tiny()
    last = gan.trained.to_rgb[2].weight.clone()
    run = StageRun(
        seed=0,
        budget=20,
        feed=FeedOptions(batch_size=8),
        snapshots=Snapshots(every=4, save=lambda step, state: kept.update({step: state})),
    )
    gan.fit(train_set(), run)
    stages = {step: (int(s["generator.stage"]), float(s["generator.alpha"])) for step, s in kept.items()}
    assert stages == {step: pytest.approx(schedule(step, 20, 2, 0.5)) for step in (4, 8, 12, 16, 20)}
    assert torch.equal(kept[4]["generator.to_rgb.2.weight"], last)
    assert not torch.equal(kept[20]["generator.to_rgb.2.weight"], last)
    early = tiny(seed=1)
    early.load_state(kept[4])
    images = early.sample(SampleRequest(0, 4, 1)).images
    assert images.shape == (4, 3, 16, 16)
    blocks = images.reshape(4, 3, 8, 2, 8, 2)  # 8x8, enlarged
    assert torch.equal(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks))


@pytest.mark.parametrize("die_at", [3, 7])
def test_a_fit_interrupted_while_it_grows_ends_as_the_uninterrupted_one(tmp_path, die_at):
    def fit(folder=None, die_at=None):
        gan = tiny()
        run = Interrupted(
            die_at=die_at,
            seed=0,
            budget=12,
            feed=FeedOptions(batch_size=8),
            checkpointing=Checkpointing(folder=folder, seconds=0),
        )
        gan.fit(train_set(), run)
        return gan.state(), run.history()

    whole = fit()
    with pytest.raises(Killed):
        fit(tmp_path, die_at)
    resumed = fit(tmp_path)
    assert all(torch.equal(whole[0][key], resumed[0][key]) for key in whole[0]) and whole[1] == resumed[1]
