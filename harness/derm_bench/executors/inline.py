"""Executor `inline`: stages run in this process, one after the other, where a debugger can follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from derm_bench.executors.base import Event, ExecutorSettings, job_of
from derm_bench.executors.perform import perform
from derm_bench.plan.model import Stage
from derm_bench.plugins import Plugins


class InlineExecutor:
    """Takes one stage at a time and runs it inside `poll`. Limits on time and memory need workers: none here."""

    def __init__(self, settings: ExecutorSettings) -> None:
        self.settings = settings
        self.plugins = Plugins(builtins_only=settings.builtins_only)
        self._waiting: Stage | None = None

    def free(self) -> int:
        return 0 if self._waiting else 1

    def submit(self, stage: Stage) -> None:
        self._waiting = stage

    def poll(self, timeout: float) -> Sequence[Event]:
        stage = self._waiting
        if stage is None:
            return []
        events: list[Event] = []

        def report(progress: Mapping[str, Any]) -> None:
            events.append(Event("progress", stage.key, progress))

        record = perform(job_of(stage, self.settings), self.settings.machine.devices[0], self.plugins, report)
        self._waiting = None
        return [*events[-1:], Event("finished", stage.key, record)]

    def stop(self) -> Sequence[Event]:
        self._waiting = None
        return []
