"""The built-in DCGAN at 64 px, `base: 64`, timed or recorded."""

from __future__ import annotations

import argparse

from ours.recording import ClockedRun, RecordedRun, initial, settings_of, write
from side import Clock, report

from derm_bench.images import ImageSet
from derm_bench.specs import Task
from derm_bench.stages.runtime import prepare
from derm_bench.training.seeding import seed_everything, stream
from derm_bench_plugins.generators.dcgan import Dcgan
from derm_bench_plugins.generators.specs.dcgan import DcganOptions


def fit(given: argparse.Namespace, train: ImageSet, clock: Clock) -> None:
    """Fit for the given updates and print the rates, or the losses with --record."""
    prepare(given.device, given.threads, given.precision)
    seed_everything(0)
    options = DcganOptions(base=64, batch_size=given.batch, lr=given.lr, ema=0.0)  # as the plain loop
    gan = Dcgan(options, Task(train.classes, train.size, given.device))
    settings = settings_of(given)
    if given.record:
        run = RecordedRun(**settings)
        weights = initial(generator=gan.generator, discriminator=gan.discriminator)
        gan.fit(train, run)
        noise = stream(run.seed, "z", given.device)
        gan.prior(given.batch, noise)  # for the first statistics of BatchNorm
        for _ in range(given.updates):
            run.keep("z", gan.prior(given.batch, noise))
        write(given.record, run, weights)
        return report(losses=run.losses)
    gan.fit(train, ClockedRun(clock, given.warmup, **settings))
    return report(**clock.rates(given.updates * given.batch, (given.updates - given.warmup) * given.batch))
