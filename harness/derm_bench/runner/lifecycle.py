"""Calls the lifecycle hooks of plugins and trackers, each plugin in a separate thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from derm_bench.errors import UserError
from derm_bench.plugins import Plugins
from derm_bench.plugins.culprit import place_of
from derm_bench.terminal import say

HOOKS = ("derm_bench_run_start", "derm_bench_stage_finish", "derm_bench_log", "derm_bench_run_finish")
GRACE_SECONDS = 30.0
"""Seconds that a finished run waits for trackers to write the remaining calls."""
LOGS_WAITING = 10_000
"""Largest number of calls that may wait for a slow tracker; further values of running stages are dropped."""

Say = Callable[[str], None]


def _say(message: str) -> None:
    say(f"warning: {message}", err=True)


class Listener:
    """One plugin or tracker. Its hooks are called in order in a separate thread, until one of them raises."""

    def __init__(self, name: str, hooks: Mapping[str, Callable[..., Any]], say: Say) -> None:
        self.name = name
        self._hooks = hooks
        self._say = say
        self._waiting: SimpleQueue[tuple[str, Mapping[str, Any]] | None] = SimpleQueue()
        # A daemon thread, so that a tracker that hangs ends with the process.
        self._thread = threading.Thread(target=self._listen, name=f"derm-bench {name}", daemon=True)
        self._thread.start()

    def call(self, hook: str, facts: Mapping[str, Any]) -> None:
        """Queues one call and returns."""
        full = hook == "derm_bench_log" and self._waiting.qsize() >= LOGS_WAITING
        if hook in self._hooks and not full:
            self._waiting.put((hook, facts))

    def end(self) -> None:
        """Queues the end of all calls."""
        self._waiting.put(None)

    def wait(self, deadline: float) -> None:
        """Waits until all calls have been made, or until `deadline` of the monotonic clock."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._say(f"{self.name} is still busy and is not waited for: its last entries may be missing")

    def _listen(self) -> None:
        while (call := self._waiting.get()) is not None:
            hook, facts = call
            try:
                self._hooks[hook](**facts)
            except (Exception, SystemExit) as error:  # a plugin may raise anything
                what = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
                what += f" ({place_of(error)})" if not isinstance(error, UserError) else ""
                self._say(f"{self.name} failed in {hook} and is not called again in this run: {what}")
                return


class Lifecycle:
    """The lifecycle hooks as methods with the arguments of the hooks. Only `close` waits, and none of them raises."""

    def __init__(self, plugins: Plugins, say: Say = _say) -> None:
        self._listeners = [Listener(name, hooks, say) for name, hooks in plugins.listeners(HOOKS)]

    def run_start(self, matrix: str, out: Path, stages: int) -> None:
        self._call("derm_bench_run_start", matrix=matrix, out=out, stages=stages)

    def stage_finish(self, record: Mapping[str, Any]) -> None:
        self._call("derm_bench_stage_finish", record=dict(record))

    def log(self, stage: str, key: str, step: int, values: Mapping[str, float]) -> None:
        self._call("derm_bench_log", stage=stage, key=key, step=step, values=dict(values))

    def run_finish(self, matrix: str, out: Path, statuses: Mapping[str, int]) -> None:
        self._call("derm_bench_run_finish", matrix=matrix, out=out, statuses=dict(statuses))

    def close(self, grace: float = GRACE_SECONDS) -> None:
        """Waits until all listeners have made their remaining calls, at most `grace` seconds in total."""
        deadline = time.monotonic() + grace
        for listener in self._listeners:
            listener.end()
        for listener in self._listeners:
            listener.wait(deadline)

    def _call(self, hook: str, **facts: Any) -> None:
        for listener in self._listeners:
            listener.call(hook, facts)


@contextmanager
def lifecycle(plugins: Plugins, trackers: Iterable[str]) -> Iterator[Lifecycle]:
    """Context manager for the lifecycle hooks of one run, with `trackers` (`NAME` or `NAME=PLACE`) switched on.

    Raises UserError if a tracker is unknown, is given twice, or cannot be created.
    """
    with plugins.tracking(trackers):
        hooks = Lifecycle(plugins)
        try:
            yield hooks
        finally:
            hooks.close()
