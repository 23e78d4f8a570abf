"""The executor `inline`: runs stages one after the other in this process, where a debugger can follow them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from derm_bench.errors import UserError
from derm_bench.executors.base import Event, ExecutorSettings, Job, message_of
from derm_bench.plugins import Plugins
from derm_bench.worker.perform import perform
from derm_bench.worker.source import SourceCheck


class InlineExecutor:
    """Takes one stage at a time and runs it inside `poll`. Raises UserError for a number of workers and for limits,
    since both need worker processes."""

    def __init__(self, options: object, settings: ExecutorSettings) -> None:
        asked = {"workers": settings.workers, "timeout": settings.timeout, "memory": settings.memory}
        for name, value in asked.items():
            if value is not None:
                raise UserError(
                    f"the executor 'inline' runs stages in this process: {name} has no effect there",
                    hint="leave it out (limits of a matrix: --set limits={}), or use the executor 'local'",
                )
        self.settings = settings
        self.plugins = Plugins(builtins_only=settings.builtins_only, files=settings.plugin_files)
        self._source = SourceCheck()
        self._waiting: Job | None = None

    def free(self) -> int:
        return 0 if self._waiting else 1

    def submit(self, job: Job) -> None:
        self._waiting = job

    def poll(self, timeout: float) -> Sequence[Event]:
        job = self._waiting
        if job is None:
            return []
        events: list[Event] = []

        def report(progress: Mapping[str, Any]) -> None:
            events.append(Event("progress", job.key, progress))

        message, device = message_of(job, self.settings), self.settings.machine.devices[0]
        record = perform(message, device, self.plugins, report, self._source)
        self._waiting = None
        return [*events[-1:], Event("finished", job.key, record)]

    def stop(self) -> Sequence[Event]:
        self._waiting = None
        return []
