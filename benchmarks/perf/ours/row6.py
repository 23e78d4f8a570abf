"""A timm classifier at 64 px from JPEG files: the decode stage, then the plugin's fit, augmented on the device."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from ours.data import decoded
from ours.recording import ClockedRun, RecordedRun, initial, write
from side import Clock, arguments, report

from derm_bench.images import ImageSet
from derm_bench.plugins import Plugins
from derm_bench.specs import Task, create
from derm_bench.stages.runtime import prepare
from derm_bench.training.feed import FeedOptions
from derm_bench.training.seeding import seed_everything
from derm_bench_plugins.classifiers.specs.timm import TimmOptions

AUGMENT = {  # closest to RandomResizedCrop, flip and colour jitter of timm's create_transform
    "hflip": {},
    "scale": {"amount": 0.4},
    "translate": {"fraction": 0.2},
    "brightness": {"amount": 0.4},
    "contrast": {"amount": 0.4},
    "saturation": {"amount": 0.4},
}


def transforms(task: Task) -> list:
    plugins = Plugins(builtins_only=True)
    specs = [(plugins.get("transform", name), options) for name, options in AUGMENT.items()]
    return [create(spec, spec.options.model_validate(options), task) for spec, options in specs]


def fit(given: argparse.Namespace, train: ImageSet, clock: Clock) -> None:
    task = Task(train.classes, train.size, given.device)
    options = TimmOptions(
        model=given.model,
        optimizer="sgd",
        lr=given.lr,
        batch_size=given.batch,
        label_smoothing=0.1,
        select="last",
    )
    prepare(given.device, given.threads, given.precision)
    seed_everything(0)
    classifier = create(Plugins(builtins_only=True).get("classifier", "timm"), options, task)
    settings = {
        "seed": 0,
        "budget": given.updates,
        "device": given.device,
        "precision": given.precision,
        "feed": FeedOptions(given.batch, label_smoothing=0.1, image_transforms=transforms(task)),
    }
    none = train.subset([])
    if given.record:
        run = RecordedRun(**settings)
        weights = initial(net=classifier.net)
        classifier.fit(train, none, run)
        write(given.record, run, weights)
        return report(losses=run.losses)
    classifier.fit(train, none, ClockedRun(clock, given.warmup, **settings))
    return report(**clock.rates(given.updates * given.batch, (given.updates - given.warmup) * given.batch))


def main() -> None:
    given = arguments(__doc__, lr=0.05, folder=None, model="resnet18")
    clock = Clock(given.device)
    with tempfile.TemporaryDirectory() as store:
        fit(given, decoded(given.folder, Path(store), 64, given.threads), clock)


if __name__ == "__main__":
    main()
