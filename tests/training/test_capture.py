"""Steps as CUDA graphs: the same updates as without, and steps that cannot be recorded run all the same."""

from dataclasses import replace

import pytest
import torch
from tests.training.test_engine import train_set
from torch import nn

from derm_bench.training.capture import WARM_UP, CapturedStep
from derm_bench.training.engine import Engine, minimise
from derm_bench.training.feed import FeedOptions
from derm_bench.training.optim import make_adam
from derm_bench.training.stage_run import StageRun, seed_everything

pytestmark = pytest.mark.gpu
STEPS = 12


def fitted(monkeypatch, captured, lazily=None, look=None, before=None):
    """Losses and weights after a fit with noise, dropout and BatchNorm, replayed or not."""
    if not captured:
        monkeypatch.setattr("derm_bench.training.capture.WARM_UP", 10**9)
    seed_everything(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(8 * 14 * 14, 2),
    )
    run = StageRun(seed=0, budget=STEPS, feed=FeedOptions(batch_size=8), device="cuda")
    engine = Engine(run, net=net.cuda())
    adam, noise, losses = engine.adam(net, 1e-3), engine.stream("noise"), []

    def step(batch, big=False, stage=0):
        jitter = torch.randn(batch.images.shape, generator=noise, device="cuda") * (
            0.5 if big else 0.1 + stage
        )
        loss = nn.functional.cross_entropy(net(batch.images + jitter), batch.targets)
        minimise(loss, adam)
        if look is not None:
            look(loss)
        return {"loss": loss}

    made = {}
    recorded = engine._recorded
    monkeypatch.setattr(engine, "_recorded", lambda whole: made.setdefault("step", recorded(whole)))
    engine.fit(
        step,
        train_set(),
        lazily=lazily,
        before=before,
        after=lambda _, logs: losses.append(logs["loss"].clone()),
    )
    return torch.stack(losses).cpu(), net[0].weight.detach().cpu(), made["step"]


@pytest.mark.parametrize("lazily", [None, {"big": 4}])
def test_a_replayed_step_makes_the_updates_of_an_eager_one(monkeypatch, lazily):
    losses, weights, step = fitted(monkeypatch, True, lazily)
    assert isinstance(step, CapturedStep) and not step.reason and step._recordings
    with monkeypatch.context() as patched:
        plain, plain_weights, _ = fitted(patched, False, lazily)
    torch.testing.assert_close(losses, plain, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights, plain_weights, rtol=1e-3, atol=1e-5)


def test_every_stage_of_a_schedule_is_recorded(monkeypatch):
    def before(number):
        return {"stage": number // 6}

    losses, weights, step = fitted(monkeypatch, True, before=before)
    assert not step.reason and len(step._recordings) == 2
    with monkeypatch.context() as patched:
        plain, plain_weights, _ = fitted(patched, False, before=before)
    torch.testing.assert_close(losses, plain, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights, plain_weights, rtol=1e-3, atol=1e-5)


def test_every_replay_draws_new_noise(monkeypatch):
    generator = torch.Generator("cuda").manual_seed(0)
    drawn = []
    step = CapturedStep(
        lambda batch: {"x": torch.randn((), generator=generator, device="cuda")}, "cuda", [generator]
    )
    batch = next(
        iter(StageRun(seed=0, budget=1, feed=FeedOptions(batch_size=4), device="cuda").batches(train_set()))
    )
    drawn = [step(batch, {})["x"].item() for _ in range(WARM_UP + 5)]
    assert len(set(drawn)) == len(drawn)


def test_named_data_reaches_a_recorded_step():
    train = train_set()
    train = replace(train, data={"place": torch.arange(len(train)), "far": torch.randn(len(train), 2, 3)})
    run, seen = StageRun(seed=0, budget=STEPS, feed=FeedOptions(batch_size=8), device="cuda"), []

    def step(batch):
        return {"places": batch.data["place"].sum(), "far": batch.data["far"].sum()}

    def after(batch, logs):
        seen.append((step(batch), logs))

    Engine(run, net=nn.Linear(1, 1).cuda()).fit(step, train, after=after)
    assert len(seen) == STEPS > WARM_UP
    for eager, replayed in seen:
        assert all(float(eager[name]) == pytest.approx(float(replayed[name])) for name in eager)


def test_a_step_that_waits_for_the_device_runs_without_a_graph_and_says_why(monkeypatch, capfd):
    losses, _, step = fitted(monkeypatch, True, look=lambda loss: loss.item())
    assert step.reason and not step._recordings
    assert "without a CUDA graph" in capfd.readouterr().err
    with monkeypatch.context() as patched:
        plain, _, _ = fitted(patched, False)
    torch.testing.assert_close(losses, plain, rtol=1e-4, atol=1e-5)


def test_a_rate_on_the_device_changes_under_the_graph():
    weight = nn.Parameter(torch.ones(1, device="cuda"))
    adam = make_adam([weight], 0.1)
    rate = adam.param_groups[0]["lr"]
    assert rate.is_cuda

    def update(batch):
        minimise(weight.sum(), adam)
        return {"weight": weight.detach()}

    step = CapturedStep(update, "cuda")
    batch = next(
        iter(StageRun(seed=0, budget=1, feed=FeedOptions(batch_size=4), device="cuda").batches(train_set()))
    )
    for _ in range(WARM_UP + 2):
        before = step(batch, {})["weight"].item()
    rate.fill_(0.0)
    assert step(batch, {})["weight"].item() == before
