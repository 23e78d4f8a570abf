"""The clock of a side measures updates, and not what a fit does after the last one."""

import time

import torch

from derm_bench.images import ImageSet


def test_what_a_fit_does_after_its_last_update_is_not_measured():
    from ours.recording import ClockedRun
    from side import Clock

    names = tuple("abcdefgh")
    images, labels = torch.zeros(8, 3, 8, 8, dtype=torch.uint8), torch.zeros(8, dtype=torch.int64)
    train = ImageSet(images, labels, ("all",), names, names)
    clock = Clock("cpu")
    run = ClockedRun(clock, 1, seed=0, budget=3, device="cpu")
    assert [batch.step for batch in run.batches(train, 4)] == [1, 2, 3]
    measured = clock.rates(12, 8)
    time.sleep(0.01)
    assert clock.rates(12, 8) == measured
