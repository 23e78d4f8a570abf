"""The engine: the updates of a plainly written loop, whatever it adds around them."""

import pytest
import torch
from torch import nn

from derm_bench.images import ImageSet
from derm_bench.training.ema import Ema
from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.feed import FeedOptions
from derm_bench.training.losses import discriminator_loss, generator_loss
from derm_bench.training.stage_run import Checkpointing, StageRun, seed_everything
from derm_bench_plugins.generators.dcgan import Discriminator, Generator

STEPS = 50


def train_set(n=32, size=16):
    names = tuple(map(str, range(n)))
    images = torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(images, torch.arange(n) % 2, ("a", "b"), names, names)


def nets():
    seed_everything(0)
    return Generator(8, 8, 2), Discriminator(8, 2, "flatten")


def by_hand(batches):
    """The losses of a loop as one would write it: fp32, contiguous, Adam a parameter at a time."""
    g, d = nets()
    adam_g, adam_d = (torch.optim.Adam(net.parameters(), 2e-4, (0.5, 0.999), foreach=False) for net in (g, d))
    noise, losses = torch.Generator().manual_seed(1), []
    for images in batches:
        fake = g(torch.randn(len(images), 8, generator=noise))
        loss_d = discriminator_loss(d(images), d(fake.detach()))
        adam_d.zero_grad()
        loss_d.backward()
        adam_d.step()
        loss_g = generator_loss(d(fake))
        adam_g.zero_grad()
        loss_g.backward()
        adam_g.step()
        losses.append([loss_d.item(), loss_g.item()])
    return torch.tensor(losses)


def by_engine(precision):
    """The losses of the engine from the same weights, and the batches it saw."""
    g, d = nets()
    run = StageRun(seed=0, budget=STEPS, feed=FeedOptions(batch_size=16), precision=precision)
    engine = Engine(run, g=g, d=d)
    adam_g, adam_d = engine.adam(g, 2e-4, (0.5, 0.999)), engine.adam(d, 2e-4, (0.5, 0.999))
    noise, seen, losses = torch.Generator().manual_seed(1), [], []

    def step(batch):
        with engine.autocast():
            fake = g(torch.randn(len(batch.images), 8, generator=noise))
            real_logits, fake_logits = d(batch.images), d(fake.detach())
        loss_d = discriminator_loss(real_logits, fake_logits)
        minimise(loss_d, adam_d)
        with frozen(d), engine.autocast():
            logits = d(fake)
        loss_g = generator_loss(logits)
        minimise(loss_g, adam_g)
        return {"loss_d": loss_d, "loss_g": loss_g}

    def after(batch, logs):
        seen.append(batch.images.clone(memory_format=torch.contiguous_format))
        losses.append([logs["loss_d"].item(), logs["loss_g"].item()])

    engine.fit(step, train_set(), after=after)
    return torch.tensor(losses), seen


@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-4), ("bf16", 0.05)])
def test_the_first_fifty_losses_are_those_of_a_plain_loop(precision, bound):
    losses, batches = by_engine(precision)
    plain = by_hand(batches)
    assert len(losses) == STEPS
    assert ((losses - plain).abs() / plain.abs()).max() < bound


def toy(budget=9, **options):
    net = nn.Linear(3, 1)
    run = StageRun(seed=0, budget=budget, feed=FeedOptions(batch_size=4), **options)
    return net, run, Engine(run, net=net)


def test_lazy_parts_of_a_step_come_at_their_updates_only():
    _, _, engine = toy()
    calls = []

    def step(batch, r1, path):
        calls.append((r1, path))
        return {"loss": batch.images.mean()}

    engine.fit(step, train_set(), lazily={"r1": 4, "path": 3})
    assert [k for k, (r1, _) in enumerate(calls, 1) if r1] == [1, 5, 9]
    assert [k for k, (_, path) in enumerate(calls, 1) if path] == [1, 4, 7]


def test_a_schedule_comes_before_its_update_and_goes_on_after_an_interruption(tmp_path):
    def fit(folder=None, die_at=None):
        net, run, engine = toy(checkpointing=Checkpointing(folder, seconds=0))
        rate, seen = torch.zeros(()), []

        def before(number):
            rate.fill_(number)
            return {"stage": number // 4}

        def step(batch, stage, even):
            seen.append((stage, even, rate.item()))
            return {"loss": net.weight.sum()}

        def after(batch, logs):
            if batch.step == die_at:
                run.checkpoint(batch.step, engine._state.state)
                raise KeyboardInterrupt

        engine.fit(step, train_set(), lazily={"even": 2}, before=before, after=after)
        return seen

    whole = [(k // 4, k % 2 == 1, float(k)) for k in range(1, 10)]
    assert fit() == whole
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, die_at=5)
    assert fit(tmp_path) == whole[5:]


def test_an_average_follows_every_update():
    net = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(net.weight)
    average = Ema(net, 0.9)
    for value in (1.0, 2.0):
        nn.init.constant_(net.weight, value)
        average.update()
    assert average.net.weight[0, 0].item() == pytest.approx(0.9 * 0.1 + 0.1 * 2)
    assert not average.net.training and not average.net.weight.requires_grad


def test_an_average_that_warms_up_forgets_the_start():
    net = nn.Linear(2, 1, bias=False)
    nn.init.constant_(net.weight, 5.0)
    average = Ema(net, 0.999, warm_up=True)
    nn.init.zeros_(net.weight)
    average.update()
    assert average.net.weight[0, 0].item() == pytest.approx(5 * 2 / 11)
    average.update()
    assert average.net.weight[0, 0].item() == pytest.approx(5 * 2 / 11 * 3 / 12)


def test_buffers_are_copied_into_an_average():
    net = nn.BatchNorm1d(2)
    average = Ema(net, 0.9)
    net(torch.randn(8, 2) + 3)
    average.update()
    assert torch.equal(average.net.running_mean, net.running_mean)


@pytest.mark.parametrize("decay", [1.0, -0.1])
def test_a_decay_that_is_none_is_refused(decay):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\)"):
        Ema(nn.Linear(1, 1), decay)


def test_what_the_engine_keeps_goes_on_after_an_interruption(tmp_path):
    def fit(folder=None, die_at=None):
        seed_everything(0)
        net, run, engine = toy(checkpointing=Checkpointing(folder, seconds=0))
        adam, noise, average = engine.adam(net, 0.1), engine.stream("noise"), engine.average(net, 0.5)

        def step(batch):
            loss = net(torch.randn(4, 3, generator=noise)).square().mean()
            minimise(loss, adam)
            return {"loss": loss}

        write = run.checkpoint

        def checkpoint(step, state):
            write(step, state)
            if step == die_at:
                raise KeyboardInterrupt

        run.checkpoint = checkpoint
        engine.fit(step, train_set())
        return net.weight, average.net.weight, run.history()

    whole = fit()
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, die_at=4)
    resumed = fit(tmp_path)
    assert torch.equal(whole[0], resumed[0]) and torch.equal(whole[1], resumed[1]) and whole[2] == resumed[2]


def test_frozen_networks_get_no_gradients_and_are_as_they_were_after():
    net, head = nn.Linear(2, 2), nn.Linear(2, 1)
    head.bias.requires_grad_(False)
    with frozen(head):
        loss = head(net(torch.ones(1, 2))).sum()
    loss.backward()
    assert head.weight.grad is None and net.weight.grad is not None
    assert head.weight.requires_grad and not head.bias.requires_grad


def test_a_name_is_kept_once():
    net, _, engine = toy()
    with pytest.raises(ValueError, match="are named 'net'"):
        engine.keep("net", net)


def test_a_step_does_not_see_the_number_of_its_update():
    """As on a GPU, where a recording would repeat the number it was made with."""
    _, _, engine = toy(budget=2)
    seen = []
    engine.fit(lambda batch: seen.append(batch.step) or {"loss": batch.images.mean()}, train_set())
    assert seen == [0, 0]
