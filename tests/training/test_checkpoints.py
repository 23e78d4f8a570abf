"""Resume inside a stage: an interrupted fit ends bitwise as the uninterrupted one does."""

import random
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.interrupted import Interrupted, Killed
from torch import nn

from derm_bench.errors import Diverged
from derm_bench.images import ImageSet
from derm_bench.specs import ClassifierOptions, Task
from derm_bench.training.checkpoints import Checkpoints, TrainingState, plain, rng_state, set_rng_state
from derm_bench.training.classification import fit_classifier, predict_proba
from derm_bench.training.feed import FeedOptions
from derm_bench.training.optim import make_optimizer, make_schedule
from derm_bench.training.selection import Selection
from derm_bench.training.stage_run import Checkpointing, StageRun, seed_everything
from derm_bench_plugins.transforms import specs as transform_specs


def image_set(n=23, seed=0):
    labels = torch.arange(n) % 2
    noise = torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    images = ((noise * 0.7 + labels.view(-1, 1, 1, 1) * 0.2) * 255).byte()
    names = tuple(f"{seed}/{k}" for k in range(n))
    return ImageSet(images, labels, ("dark", "bright"), names, names)


class GlobalNoise(nn.Module):
    """A layer that draws from every global generator."""

    def forward(self, x):
        if not self.training:
            return x
        return x + 0.01 * torch.randn_like(x) + 0.01 * random.random() + 0.01 * np.random.randn()


def network():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        GlobalNoise(),
        nn.Dropout(0.3),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )


def augmentation():
    from derm_bench.specs import create

    chosen = [spec for spec in transform_specs() if spec.name in ("hflip", "rotate", "brightness")]
    return [create(spec, spec.options(), Task(("dark", "bright"), 16)) for spec in chosen]


def classify(folder=None, die_at=None, classifier_options=None, budget=40):
    """Trains from scratch, or from what lies in `folder`."""
    seed_everything(7)
    net, train, val = network(), image_set(), image_set(14, seed=1)
    chosen = ClassifierOptions(lr=0.02, batch_size=6, schedule="cosine", **(classifier_options or {}))
    run = Interrupted(
        seed=7,
        budget=budget,
        feed=FeedOptions(image_transforms=augmentation(), label_smoothing=0.1, balance="oversample"),
        selection=Selection(val=val),
        checkpointing=Checkpointing(folder, seconds=0),
        die_at=die_at,
    )
    fit_classifier(net, train, val, run, chosen, head=net[-1])
    return net, run


def same(one, other):
    """Bitwise equality of nested states."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


# 3 and 23: within an epoch, windows open; 20: an evaluation; 40: nothing is left but to select.
@pytest.mark.parametrize("die_at", [3, 20, 23, 40])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_classifier_ends_bitwise_as_if_it_had_not_been_interrupted(tmp_path, die_at, optimizer):
    options = {"classifier_options": {"optimizer": optimizer}}
    net, run = classify(**options)
    with pytest.raises(Killed):
        classify(tmp_path, die_at, **options)
    resumed_net, resumed = classify(tmp_path, **options)
    assert same(dict(net.state_dict()), dict(resumed_net.state_dict()))
    assert run.history() == resumed.history()
    assert (run.selected_step, run.best_score) == (resumed.selected_step, resumed.best_score)
    pixels = image_set(9, seed=2).images.float() / 255
    assert torch.equal(predict_proba(net, pixels), predict_proba(resumed_net, pixels))


def test_several_interruptions_and_a_plateau_schedule_change_nothing(tmp_path):
    net, run = plateau()
    for die_at in (11, 67, 151):
        with pytest.raises(Killed):
            plateau(tmp_path, die_at)
    resumed_net, resumed = plateau(tmp_path)
    assert same(dict(net.state_dict()), dict(resumed_net.state_dict())) and run.history() == resumed.history()
    rates = {row.value for row in run.history() if row.metric == "lr"}
    assert len(rates) > 2, "the schedule should have fallen, or nothing of it is tested"


def plateau(folder=None, die_at=None, budget=200):
    """A loop of a plugin's own, with the state collected by TrainingState."""
    seed_everything(1)
    net = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)
    )  # too small to reach a loss of 0
    train = replace(image_set(), labels=torch.arange(23) % 3 // 2)
    chosen = ClassifierOptions(lr=0.5, schedule="plateau")
    optimizer = make_optimizer(chosen, net.parameters())
    schedule = make_schedule("plateau", optimizer, 0.5, budget)
    run = Interrupted(
        seed=1,
        budget=budget,
        feed=FeedOptions(batch_size=8),
        checkpointing=Checkpointing(folder, seconds=0),
        die_at=die_at,
    )
    live = TrainingState(net=net, optimizer=optimizer, schedule=schedule)
    live.load(run.resume())
    for batch in run.batches(train):
        loss = nn.functional.cross_entropy(net(batch.images), batch.targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule(batch.step, loss)
        run.log(batch.step, loss=loss.detach(), lr=optimizer.param_groups[0]["lr"])
        run.checkpoint(batch.step, live.state)
    return net, run


def test_patience_spent_before_the_interruption_is_spent_after_it(tmp_path):
    def steps(die_at=None, folder=None):
        run = Interrupted(
            seed=0,
            budget=40,
            feed=FeedOptions(batch_size=4),
            selection=Selection(val=image_set(), patience=2),
            checkpointing=Checkpointing(folder, seconds=0),
            die_at=die_at,
        )
        run.resume()
        seen = []
        for batch in run.batches(image_set()):
            seen.append(batch.step)
            run.evaluate(batch.step, lambda images: torch.full((len(images), 2), 0.5), dict)
            run.checkpoint(batch.step, dict)
        return seen

    assert steps()[-1] == 12
    with pytest.raises(Killed):
        steps(12, tmp_path)
    assert steps(folder=tmp_path) == []


def test_batches_go_on_with_the_next_one_only_after_resume(tmp_path):
    def batches(run):
        return {batch.step: batch.images for batch in run.batches(image_set(), 6)}

    options = {"seed": 3, "budget": 9, "feed": FeedOptions(image_transforms=augmentation())}
    whole = batches(StageRun(**options))
    run = StageRun(**options, checkpointing=Checkpointing(folder=tmp_path, seconds=0))
    for batch in run.batches(image_set(), 6):
        run.checkpoint(batch.step, dict)
        if batch.step == 5:
            break
    again = StageRun(**options, checkpointing=Checkpointing(folder=tmp_path))
    assert list(batches(again)) == list(range(1, 10))
    again = StageRun(**options, checkpointing=Checkpointing(folder=tmp_path))
    assert again.resume() == {}
    rest = batches(again)
    assert list(rest) == [6, 7, 8, 9] and all(torch.equal(rest[step], whole[step]) for step in rest)


def test_checkpoints_are_written_at_their_interval_and_removed_at_the_end(tmp_path):
    seldom, calls = StageRun(seed=0, budget=5, checkpointing=Checkpointing(folder=tmp_path / "key")), []
    for batch in seldom.batches(image_set(), 4):
        seldom.checkpoint(batch.step, lambda: calls.append(1) or {})
    assert (
        len(calls) == 1 and not (tmp_path / "key").exists()
    )  # the first update's, to see that it can be written
    _, run = classify(tmp_path / "key")
    assert [path.name for path in (tmp_path / "key").iterdir()] == ["checkpoint.pt"]
    run.finished()
    assert not (tmp_path / "key").exists()


def test_without_a_folder_nothing_is_asked_or_kept():
    run = StageRun(seed=0, budget=5, checkpointing=Checkpointing(seconds=0))
    run.checkpoint(1, lambda: pytest.fail("asked"))
    assert run.resume() is None


def torn(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
    content[largest.header_offset + 300] ^= 1
    path.write_bytes(content)


def foreign(path):
    torch.save({"format": 1, "weights": torch.zeros(2)}, path)


def code(path):
    torch.save({"format": 1, "trap": Checkpoints}, path)


@pytest.mark.parametrize("harm", [torn, flipped, foreign, code, lambda path: path.write_bytes(b"")])
def test_a_checkpoint_that_cannot_be_used_is_ignored_in_words(tmp_path, harm, capfd):
    with pytest.raises(Killed):
        classify(tmp_path, 5, budget=10)
    Checkpoints(tmp_path).wait()
    harm(tmp_path / "checkpoint.pt")
    net, _ = classify(tmp_path, budget=10)
    assert same(dict(net.state_dict()), dict(classify(budget=10)[0].state_dict()))
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert str(tmp_path / "checkpoint.pt") in line and "starts from the beginning" in line


def test_an_interrupted_write_leaves_the_checkpoint_before_it(tmp_path, monkeypatch):
    kept = Checkpoints(tmp_path, 0)
    kept.save({"step": 1})
    kept.wait()
    real = torch.save

    def dies(content, path):
        real(content, path)
        torn(path)
        raise Killed

    monkeypatch.setattr(torch, "save", dies)
    with pytest.raises(Killed):
        kept._write({"step": 2})
    assert kept.load() == {"format": 1, "step": 1}


def test_a_checkpoint_is_not_written_through_a_link(tmp_path):
    (tmp_path / "victim").write_text("mine")
    for name in ("checkpoint.pt", "checkpoint.pt.part"):
        (tmp_path / name).symlink_to(tmp_path / "victim")
    kept = Checkpoints(tmp_path, 0)
    kept.save({"step": 3})
    assert kept.load() == {"format": 1, "step": 3}
    assert (tmp_path / "victim").read_text() == "mine" and not (tmp_path / "checkpoint.pt").is_symlink()


def test_a_disk_that_takes_nothing_costs_no_stage(tmp_path, capfd):
    (tmp_path / "file").write_text("in the way")
    checkpoints = Checkpoints(tmp_path / "file" / "key", 0)
    checkpoints.save({"step": 1})
    checkpoints.wait()
    assert "no checkpoint was written" in capfd.readouterr().err


def test_what_cannot_be_read_back_without_running_code_is_refused_at_the_first_update(tmp_path):
    run = StageRun(seed=0, budget=5, checkpointing=Checkpointing(folder=tmp_path / "key"))
    with pytest.raises(TypeError, match=r"state\.a\[1\] is of type ndarray"):
        run.checkpoint(1, lambda: {"a": [1, np.zeros(2)]})
    val = image_set()
    run = StageRun(
        seed=0, budget=10, selection=Selection(val=val), checkpointing=Checkpointing(folder=tmp_path / "key")
    )
    run.evaluate(1, lambda images: nn.functional.one_hot(val.labels, 2).float(), lambda: nn.Linear(1, 1))
    with pytest.raises(TypeError, match=r"run\.evaluate is of type Linear"):
        run.checkpoint(1, dict)


def test_views_are_written_without_what_they_look_into():
    view = torch.zeros(1000)[:2]
    assert plain({"v": view})["v"].untyped_storage().nbytes() == 8


def test_global_generators_go_round():
    seed_everything(4)
    np.random.randn()  # leaves a second value waiting
    state = rng_state("cpu")

    def draw():
        return random.random(), random.gauss(0, 1), np.random.randn(), np.random.rand(), torch.rand(1).item()

    first = draw()
    set_rng_state(state, "cpu")
    assert draw() == first


def test_divergence_takes_the_curves_along_and_leaves_no_checkpoint(tmp_path):
    run = StageRun(seed=0, budget=400, checkpointing=Checkpointing(folder=tmp_path / "key", seconds=0))
    with pytest.raises(Diverged) as caught, run.guarded():
        for batch in run.batches(image_set(), 4):
            run.log(batch.step, loss=float(batch.step) if batch.step < 300 else float("nan"))
            run.checkpoint(batch.step, dict)
    assert caught.value.curve[-1] == [299, "loss", 299.0] and len(caught.value.curve) == 200
    assert not (tmp_path / "key").exists()
    with pytest.raises(Diverged) as caught, run.guarded():
        raise Diverged("the plugin's own")
    assert caught.value.curve[-1] == [299, "loss", 299.0]


def test_other_failures_keep_the_checkpoint(tmp_path):
    run = StageRun(seed=0, budget=400, checkpointing=Checkpointing(folder=tmp_path / "key", seconds=0))
    with pytest.raises(MemoryError), run.guarded():
        run.checkpoint(1, dict)
        raise MemoryError
    assert StageRun(seed=0, budget=400, checkpointing=Checkpointing(folder=tmp_path / "key")).resume() == {}
    shutil.rmtree(tmp_path / "key")


def test_what_is_being_written_is_not_what_training_changes_meanwhile(tmp_path):
    checkpoints, weight = Checkpoints(tmp_path / "key"), torch.zeros(1000, 1000)
    checkpoints.save({"weight": weight, "nested": [{"weight": weight[:2]}]})
    weight.fill_(1.0)
    loaded = checkpoints.load()
    assert not loaded["weight"].any() and not loaded["nested"][0]["weight"].any()
    assert [path.name for path in (tmp_path / "key").iterdir()] == ["checkpoint.pt"]
