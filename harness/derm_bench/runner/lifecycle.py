"""The lifecycle hooks: tells plugins and trackers what a run does, each in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import click

from derm_bench.errors import UserError
from derm_bench.plugins import Plugins

HOOKS = ("derm_bench_run_start", "derm_bench_stage_finish", "derm_bench_log", "derm_bench_run_finish")
GRACE_SECONDS = 30.0
"""How long a finished run waits for trackers to write what they were told."""
LOGS_WAITING = 10_000
"""Values of running stages that may wait for a slow tracker; what comes on top is left out."""

Say = Callable[[str], None]


def _say(message: str) -> None:
    click.echo(f"warning: {message}", err=True)


class Listener:
    """One plugin or tracker. It hears everything in order, in its own thread; its first failure is its last call."""

    def __init__(self, name: str, hooks: Mapping[str, Callable[..., Any]], say: Say) -> None:
        self.name = name
        self._hooks = hooks
        self._say = say
        self._waiting: SimpleQueue[tuple[str, Mapping[str, Any]] | None] = SimpleQueue()
        # A daemon: one that hangs ends with the process.
        self._thread = threading.Thread(target=self._listen, name=f"derm-bench {name}", daemon=True)
        self._thread.start()

    def tell(self, hook: str, facts: Mapping[str, Any]) -> None:
        """Queues one call; returns at once."""
        full = hook == "derm_bench_log" and self._waiting.qsize() >= LOGS_WAITING
        if hook in self._hooks and not full:
            self._waiting.put((hook, facts))

    def end(self) -> None:
        """Nothing more will be told."""
        self._waiting.put(None)

    def wait(self, deadline: float) -> None:
        """Waits until everything was heard, or until `deadline` of the monotonic clock."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._say(f"{self.name} is still busy and is left behind: its last entries may be missing")

    def _listen(self) -> None:
        while (told := self._waiting.get()) is not None:
            hook, facts = told
            try:
                self._hooks[hook](**facts)
            except (Exception, SystemExit) as error:  # a plugin may raise anything at all
                what = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
                self._say(f"{self.name} failed in {hook} and hears no more of this run: {what}")
                return


class Lifecycle:
    """What runs call; a method a hook, with the hook's arguments. Nothing here raises or waits, but for `close`."""

    def __init__(self, plugins: Plugins, say: Say = _say) -> None:
        self._listeners = [Listener(name, hooks, say) for name, hooks in plugins.listeners(HOOKS)]

    def run_start(self, matrix: str, out: Path, stages: int) -> None:
        self._tell("derm_bench_run_start", matrix=matrix, out=out, stages=stages)

    def stage_finish(self, record: Mapping[str, Any]) -> None:
        self._tell("derm_bench_stage_finish", record=dict(record))

    def log(self, stage: str, key: str, step: int, values: Mapping[str, float]) -> None:
        self._tell("derm_bench_log", stage=stage, key=key, step=step, values=dict(values))

    def run_finish(self, matrix: str, out: Path, statuses: Mapping[str, int]) -> None:
        self._tell("derm_bench_run_finish", matrix=matrix, out=out, statuses=dict(statuses))

    def close(self, grace: float = GRACE_SECONDS) -> None:
        """Lets all listeners hear the rest, `grace` seconds at most in all."""
        deadline = time.monotonic() + grace
        for listener in self._listeners:
            listener.end()
        for listener in self._listeners:
            listener.wait(deadline)

    def _tell(self, hook: str, **facts: Any) -> None:
        for listener in self._listeners:
            listener.tell(hook, facts)


@contextmanager
def lifecycle(plugins: Plugins, trackers: Iterable[str]) -> Iterator[Lifecycle]:
    """The lifecycle of one run, with `trackers` (`NAME` or `NAME=PLACE`) switched on.

    UserError where a tracker is unknown, asked for twice, or cannot be made.
    """
    with plugins.tracking(trackers):
        told = Lifecycle(plugins)
        try:
            yield told
        finally:
            told.close()
