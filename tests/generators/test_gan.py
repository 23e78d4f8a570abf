"""What all GANs of two players share: averages of G, statistics of BatchNorm, steps of D, and what D may have."""

import copy
import itertools

import pytest
import torch
from tests.generators.test_dcgan import train_set
from torch import nn
from torch.nn import functional as F

from derm_bench.specs import SampleRequest, Task
from derm_bench.training.feed import FeedOptions
from derm_bench.training.init import recalibrate_statistics
from derm_bench.training.losses import discriminator_loss
from derm_bench.training.stage_run import Snapshots, StageRun, seed_everything
from derm_bench_plugins.generators.dcgan import Dcgan
from derm_bench_plugins.generators.specs.dcgan import DcganOptions


def fitted(budget=6, every=None, **options):
    """A tiny DCGAN, its run, its snapshots, and G's weights after every update."""
    seed_everything(0)
    gan = Dcgan(DcganOptions(base=4, z_dim=8, batch_size=8, **options), Task(("mel",), 16))
    states, weights = {}, []
    snapshots = (
        Snapshots(every=every, save=lambda step, state: states.update({step: state})) if every else None
    )
    run = StageRun(seed=0, budget=budget, feed=FeedOptions(batch_size=8), snapshots=snapshots)
    step = gan.train_step

    def recorded(*args, **kwargs):
        logs = step(*args, **kwargs)
        weights.append(copy.deepcopy(gan.generator.to_rgb.weight.detach()))
        return logs

    gan.train_step = recorded
    gan.fit(train_set(), run)
    return gan, run, states, weights


def test_samples_come_from_the_moving_average_of_g():
    gan, _, states, weights = fitted(ema=0.5, every=3)
    averages = {}
    seed_everything(0)
    start = Dcgan(DcganOptions(base=4, z_dim=8, batch_size=8), Task(("mel",), 16)).generator.to_rgb.weight
    mean = start.detach().clone()
    for update, value in enumerate(weights, start=1):
        decay = min(0.5, (1 + update) / (10 + update))
        mean = decay * mean + (1 - decay) * value
        averages[update] = mean
    assert torch.allclose(gan.generator.to_rgb.weight, averages[6], atol=1e-6)
    assert torch.allclose(states[3]["generator.to_rgb.weight"], averages[3], atol=1e-6)
    assert gan.state().keys() == states[3].keys()


def test_an_average_changes_nothing_of_the_training():
    plain, averaged = fitted()[3], fitted(ema=0.9)[3]
    assert all(torch.equal(a, b) for a, b in zip(plain, averaged, strict=True))


def test_statistics_of_batch_norm_are_those_of_the_final_weights():
    gan = fitted(budget=30, lr=1e-2)[0]
    norm = gan.generator.project[1]
    z = torch.rand(4000, 8) * 2 - 1
    features = gan.generator.project[0](z[:, :, None, None])
    assert torch.allclose(norm.running_mean, features.mean((0, 2, 3)), atol=0.1 * features.std().item())
    assert torch.allclose(norm.running_var, features.var((0, 2, 3)), rtol=0.15)


def test_snapshots_change_nothing_of_the_fit():
    with_snapshots, without = fitted(every=2)[0].state(), fitted()[0].state()
    assert all(torch.equal(with_snapshots[key], without[key]) for key in without)


def test_recalibration_is_the_mean_over_batches_and_leaves_the_mode():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval()
    batches = [torch.randn(16, 2) for _ in range(3)]
    recalibrate_statistics(net, ((batch,) for batch in batches))
    means = torch.stack([net[0](batch).mean(0) for batch in batches])
    assert torch.allclose(net[1].running_mean, means.mean(0), atol=1e-6)
    assert not net.training and net[1].momentum == 0.1


def test_g_is_updated_at_the_first_update_of_d_and_every_third_after_it():
    _, run, _, weights = fitted(budget=7, d_steps=3)
    changed = [not torch.equal(a, b) for a, b in itertools.pairwise(weights)]
    assert changed == [False, False, True, False, False, True]
    assert {row.step for row in run.history() if row.metric == "loss_d"} == set(range(1, 8))


def test_d_has_a_learning_rate_of_its_own():
    still = fitted(lr_d=1e-12)[0].discriminator.from_rgb[0].weight
    seed_everything(0)
    start = (
        Dcgan(DcganOptions(base=4, z_dim=8, batch_size=8), Task(("mel",), 16))
        .discriminator.from_rgb[0]
        .weight
    )
    assert torch.allclose(still, start, atol=1e-9)


def test_smoothing_is_the_cross_entropy_with_a_smaller_target_for_reals_alone():
    real, fake = torch.randn(8), torch.randn(8)
    expected = F.binary_cross_entropy_with_logits(real, torch.full((8,), 0.9))
    expected = expected + F.binary_cross_entropy_with_logits(fake, torch.zeros(8))
    assert discriminator_loss(real, fake, 0.1).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"spectral_norm": True}, {"dropout": 0.3}, {"diffaugment": ("color", "cutout")}, {"smoothing": 0.1}],
    ids=lambda options: next(iter(options)),
)
def test_each_addition_changes_the_training_and_the_fit_can_be_restored(options):
    gan, _, _, weights = fitted(**options)
    assert not torch.equal(weights[-1], fitted()[3][-1])
    again = Dcgan(gan.options, Task(("mel",), 16))
    again.load_state(gan.state())
    request = SampleRequest(0, 4, 1)
    assert torch.equal(gan.sample(request).images, again.sample(request).images)


def test_dropout_follows_every_activation_of_d():
    d = fitted(budget=1, dropout=0.25)[0].discriminator
    assert sum(isinstance(m, nn.Dropout) for m in d.modules()) == sum(
        isinstance(m, nn.LeakyReLU) for m in d.modules()
    )
