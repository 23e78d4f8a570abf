"""The run that the kit passes to a plugin: a StageRun that counts calls and can be interrupted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from derm_bench.images import ImageSet
from derm_bench.run import Batch, Run
from derm_bench.training.stage_run import StageRun

PROTOCOL = {name for name in (*vars(Run), *Run.__annotations__) if not name.startswith("_")}


class Interrupted(BaseException):
    """Simulates SIGKILL: no `except Exception` of a plugin catches it."""


class RecordedRun(StageRun):
    """A run that counts calls of a fit. `die_at`: the update after whose checkpoint the fit is interrupted."""

    def __init__(self, *, die_at: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.die_at = die_at
        self.taken = 0
        self.batch_sizes: set[int] = set()
        self.checkpointed: list[int] = []
        self.evaluated: list[int] = []
        self.kept: list[tuple[Any, Any]] = []

    def batches(
        self,
        train: ImageSet,
        batch_size: int | None = None,
        masks: bool = False,
        until: int | None = None,
    ) -> Iterator[Batch]:
        self.batch_sizes.add(batch_size or self.feed_options.batch_size)
        for batch in super().batches(train, batch_size, masks, until):
            self.taken += 1
            yield batch

    def evaluate(self, step: int, predict: Callable[..., Any], state: Callable[[], Any]) -> None:
        self.evaluated.append(step)
        super().evaluate(step, predict, lambda: self._keep(state()))

    def _keep(self, state: Any) -> Any:
        self.kept.append((state, copy.deepcopy(state)))
        return state

    def checkpoint(self, step: int, state: Callable[[], Mapping[str, Any]]) -> None:
        self.checkpointed.append(step)
        super().checkpoint(step, state)
        if step == self.die_at:
            raise Interrupted


class Shown:
    """A wrapper that a plugin receives as `run`. `touched` lists the used attributes that derm_bench.run.Run does not
    have."""

    def __init__(self, run: RecordedRun) -> None:
        self._run = run
        self.touched: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name not in PROTOCOL:
            self.touched.append(name)
        return getattr(self._run, name)
