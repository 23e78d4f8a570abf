"""AA-GAN's networks, a 3D conditional GAN: the built-in plugin's fit on pairs that are in memory."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from ours.recording import ClockedRun, RecordedRun, initial, settings_of, write
from side import Clock, arguments, report

from derm_bench.images import ImageSet
from derm_bench.run import Batch
from derm_bench.specs import Task
from derm_bench.stages.runtime import prepare
from derm_bench.training.seeding import seed_everything, stream
from derm_bench_plugins.generators.aagan_nets import hair_init
from derm_bench_plugins.generators.hair_volume import HairVolume
from derm_bench_plugins.generators.specs.hair_volume import HairVolumeOptions


class Given(HairVolume):
    """The networks, fitted to pairs that are given instead of made."""

    given: ImageSet

    def pairs(self, run: Any) -> ImageSet:
        return self.given


class RecordedPairs(RecordedRun):
    """A run that records the pairs of every batch as well."""

    def batches(self, train: ImageSet, batch_size: int | None = None) -> Iterator[Batch]:
        for batch in super().batches(train, batch_size):
            for name in ("maps", "volume"):
                self.keep(name, batch.data[name])
            yield batch


def main() -> None:
    given = arguments(__doc__, lr=1e-4, maps=None, volumes=None, base=128)
    prepare(given.device, given.threads, given.precision)
    network = hair_volume(given)
    if not given.record:
        clock = Clock(given.device)
        network.fit(network.given, ClockedRun(clock, given.warmup, **settings_of(given)))
        return report(
            **clock.rates(given.updates * given.batch, (given.updates - given.warmup) * given.batch)
        )
    run = RecordedPairs(**settings_of(given))
    weights = initial(generator=network.generator, discriminator=network.discriminator)
    network.fit(network.given, run)
    mix = stream(run.seed, "mix", given.device)
    for _ in range(given.updates):
        run.keep("epsilon", torch.rand(given.batch // 2, 1, 1, 1, 1, generator=mix, device=given.device))
    write(given.record, run, weights)
    return report(losses=run.losses)


def hair_volume(given: argparse.Namespace) -> Given:
    """Return the networks with the weights of seed 0, and the pairs. The weights are those of He et al. 2015: with a
    deviation of 0.02 all scores are about 1e-6, and rounding decides on them, so that losses could not be compared."""
    seed_everything(0)
    pairs = read_pairs(given)
    options = HairVolumeOptions(
        side=pairs.data["maps"].shape[-1],
        width=given.base / 256,
        batch_size=given.batch,
        lr=given.lr,
        lr_d=given.lr,
    )
    network = Given(options, Task(pairs.classes, 64, given.device))
    for net in network.parts().values():
        hair_init(net, "he")
    network.given = pairs
    return network


def read_pairs(given: argparse.Namespace) -> ImageSet:
    """Return the pairs of two .npy files as named data."""
    data = {
        name: torch.from_numpy(np.load(path, allow_pickle=False))
        for name, path in (("maps", given.maps), ("volume", given.volumes))
    }
    names = tuple(map(str, range(len(data["maps"]))))
    images = data["maps"][:, :3, ::16, ::16].contiguous()
    return ImageSet(images, torch.zeros(len(names), dtype=torch.int64), ("hair",), names, names, data=data)


if __name__ == "__main__":
    main()
