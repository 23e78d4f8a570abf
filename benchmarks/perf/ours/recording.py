"""Instrumented runs: a clock for the steady rate, and a record of batches, weights and losses for parity."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from side import Clock
from torch import nn

from derm_bench.images import ImageSet
from derm_bench.run import Batch
from derm_bench.training.feed import FeedOptions
from derm_bench.training.stage_run import StageRun


class ClockedRun(StageRun):
    """A StageRun that notifies `clock` after `warmup` updates and after the last one."""

    def __init__(self, clock: Clock, warmup: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.clock, self.warmup = clock, warmup

    def batches(self, train: ImageSet, batch_size: int | None = None) -> Iterator[Batch]:
        for batch in super().batches(train, batch_size):
            if batch.step == self.warmup + 1:
                self.clock.warmed_up()
            yield batch
        self.clock.ended()


class RecordedRun(StageRun):
    """A StageRun that records all batches and logged losses."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.kept: dict[str, list[torch.Tensor]] = {}
        self.losses: dict[str, list[float]] = {}

    def keep(self, name: str, value: torch.Tensor) -> None:
        self.kept.setdefault(name, []).append(value.detach().float().cpu().contiguous().clone())

    def batches(self, train: ImageSet, batch_size: int | None = None) -> Iterator[Batch]:
        for batch in super().batches(train, batch_size):
            self.keep("images", batch.images)
            self.keep("targets", batch.targets)
            yield batch

    def log(self, step: int, **values: float | torch.Tensor) -> None:
        for name, value in values.items():
            if name.startswith("loss"):
                self.losses.setdefault(name, []).append(float(value))
        super().log(step, **values)


def settings_of(given: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of a run of seed 0 from the flags of a side."""
    return {
        "seed": 0,
        "budget": given.updates,
        "device": given.device,
        "precision": given.precision,
        "feed": FeedOptions(given.batch),
    }


def initial(**nets: nn.Module) -> dict[str, torch.Tensor]:
    """Return copies of all weights, in the order of the state of each net."""
    return {
        f"{name}/{place:04d}": value.detach().cpu().contiguous().clone()
        for name, net in nets.items()
        for place, value in enumerate(net.state_dict().values())
    }


def write(path: Path, run: RecordedRun, weights: dict[str, torch.Tensor]) -> None:
    """Write the file that a baseline replays."""
    save_file(weights | {name: torch.stack(values) for name, values in run.kept.items()}, path)
