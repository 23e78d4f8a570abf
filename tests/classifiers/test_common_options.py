"""Options that all classifiers take hold for every network that is made by name."""

import pytest
import torch

from derm_bench.plugins import Plugins
from derm_bench.specs import Task, create
from derm_bench.testing.phantoms import phantoms
from derm_bench.training.feed import FeedOptions
from derm_bench.training.seeding import seed_everything
from derm_bench.training.selection import Selection
from derm_bench.training.stage_run import StageRun


@pytest.mark.parametrize("name", ["timm", "torchvision", "mobilenetv2-lstm", "dermagan-cnn"])
def test_freeze_trains_the_head_alone_under_any_loss_optimizer_and_schedule(name):
    spec = Plugins(builtins_only=True).get("classifier", name)
    options = spec.options(
        **spec.presets["tiny"]
        | {"freeze": True, "dropout": 0.2, "loss": "bce", "optimizer": "sgd", "schedule": "plateau"}
    )
    train = phantoms(per_class=8, size=32)
    side = options.input_size or 32
    seed_everything(0)
    model = create(spec, options, Task(train.classes, side))
    head = {key for key, module in model.net.named_modules() if module is model.head}.pop()
    before = model.state()
    run = StageRun(
        seed=0,
        budget=3,
        feed=FeedOptions(batch_size=8, size=side, label_smoothing=0.1),
        selection=Selection(val=train),
    )
    model.fit(train, train, run)
    moved = {key for key, value in model.state().items() if not torch.equal(before[key], value)}
    assert moved and all(key.startswith(f"net.{head}.") for key in moved)
    proba = model.predict_proba(torch.zeros(4, 3, side, side))
    torch.testing.assert_close(proba.sum(dim=1), torch.ones(4))
