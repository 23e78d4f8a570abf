"""StyleGAN2 at several sides: the built-in plugin's fit. Prints seconds per 1,000 images, with penalties."""

from __future__ import annotations

import argparse

from ours.data import in_memory
from ours.recording import ClockedRun, RecordedRun, settings_of, write
from side import Clock, arguments, report
from torch.nn import functional as F

from derm_bench.images import ImageSet
from derm_bench.specs import Task
from derm_bench.stages.runtime import prepare
from derm_bench.training.seeding import seed_everything
from derm_bench_plugins.generators.specs.stylegan2 import Stylegan2Options
from derm_bench_plugins.generators.stylegan2 import Stylegan2

SIDES = "64,128,256"


def main() -> None:
    given = arguments(__doc__, lr=2.5e-3, images=None, base=16384, sides=SIDES)
    prepare(given.device, given.threads, given.precision)
    sides = [int(side) for side in given.sides.split(",")]
    settings = settings_of(given)
    if given.record:
        run = RecordedRun(**settings)
        train = enlarged(in_memory(given.images), sides[0])
        stylegan2(given, sides[0]).fit(train, run)
        write(given.record, run, {})
        return report(losses=run.losses)
    values = {}
    for side in sides:
        train, gan, clock = (
            enlarged(in_memory(given.images), side),
            stylegan2(given, side),
            Clock(given.device),
        )
        gan.fit(train, ClockedRun(clock, given.warmup, **settings))
        rates = clock.rates(given.updates * given.batch, (given.updates - given.warmup) * given.batch)
        values[f"s_per_kimg_{side}"] = 1000 / rates["steady"]
    return report(**values)


def stylegan2(given: argparse.Namespace, side: int) -> Stylegan2:
    """Return a StyleGAN2 with the weights of seed 0."""
    seed_everything(0)
    options = Stylegan2Options(base=given.base, batch_size=given.batch, lr=given.lr)
    return Stylegan2(options, Task(("all",), side, given.device))


def enlarged(train: ImageSet, side: int) -> ImageSet:
    """Return uint8 images at another side."""
    images = F.interpolate(train.images.float(), size=(side, side), mode="bilinear").round().byte()
    return ImageSet(images, train.labels, train.classes, train.ids, train.groups)


if __name__ == "__main__":
    main()
