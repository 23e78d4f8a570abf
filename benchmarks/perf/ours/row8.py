"""An epoch of JPEG files, first decoded into the store, then read from the store after a restart."""

from __future__ import annotations

import shutil

import numpy as np
from ours.data import decoded
from side import arguments, now, processor_seconds, report
from twice import twice

from derm_bench.training.feed import FeedOptions
from derm_bench.training.stage_run import StageRun


def main() -> None:
    given = arguments(__doc__, folder=None, store=None, pixels=None, epoch=0)
    if not given.epoch:
        shutil.rmtree(given.store, ignore_errors=True)
        return twice("ours.row8", len(list(given.folder.glob("*/*.jpg"))))
    began, spent = now(given.device), processor_seconds()
    train = decoded(given.folder, given.store, 64, given.threads)
    run = StageRun(
        seed=0,
        budget=-(-len(train) // given.batch),
        device=given.device,
        feed=FeedOptions(batch_size=given.batch),
    )
    served = sum(len(batch.images) for batch in run.batches(train))
    seconds, spent = now(given.device) - began, processor_seconds() - spent
    if given.pixels:
        np.save(given.pixels, train.images[:64].numpy(), allow_pickle=False)
    return report(seconds=seconds, processor_seconds=spent, images=served)


if __name__ == "__main__":
    main()
