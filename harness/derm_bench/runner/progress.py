"""Progress of a run: bars on a terminal (one for the matrix, one per running stage), plain lines otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from derm_bench.plan.model import Stage
from derm_bench.runner.eta import Eta
from derm_bench.runner.execute import error_of
from derm_bench.runner.lifecycle import Lifecycle
from derm_bench.terminal import PlainConsole, say

Where = Callable[[str], Path]
"""The file with the records of a stage, by key."""


class Reasons:
    """Puts the errors of stages into words: the first time in full, with the file that has the traceback (and the
    traceback, if `debug`), and after that only as the stage that had the same error first."""

    def __init__(self, where: Where | None = None, debug: bool = False) -> None:
        self._where, self._debug = where, debug
        self._first: dict[str, str] = {}

    def of(self, stage: Stage, record: Mapping[str, Any]) -> str:
        """The text behind the status of a stage that is not done; empty if its record has no error."""
        message = error_of(record).strip()
        if not message:
            return ""
        first = self._first.setdefault(" ".join(message.split()), stage.title)
        if first != stage.title:
            return f": the same error as '{first}'"
        lines = message.splitlines()
        more = [] if self._where is None else [f"more in {self._where(record.get('key') or stage.key)}"]
        trace = (record.get("error") or {}).get("traceback", "") if self._debug else ""
        return ": " + "\n    ".join([*lines, *trace.rstrip().splitlines(), *more])


RETRY = "failed in an earlier run and will not be tried again; `run --retry-failed` tries again"


def failed_before(failures: Iterable[tuple[str, str, str]]) -> str:
    """The text about stages that failed in an earlier run, given as (title, status, error): how many, and each distinct
    error once."""
    alike: dict[str, list[tuple[str, str, str]]] = {}
    for failure in failures:
        alike.setdefault(" ".join(failure[2].split()), []).append(failure)
    lines = [f"{count(sum(map(len, alike.values())), 'stage')} {RETRY}:"]
    for (title, status, error), *others in alike.values():
        and_more = f" and {count(len(others), 'more stage')}" if others else ""
        lines += [f"  {title}{and_more}: {status}: " + "\n      ".join(error.strip().splitlines())]
    return "\n".join(lines)


def _failed_before(failures: Sequence[tuple[Stage, Mapping[str, Any]]]) -> str:
    return failed_before((stage.title, record["status"], error_of(record)) for stage, record in failures)


def count(n: int, what: str) -> str:
    """`1 stage`, `2 stages`."""
    return f"{n} {what}{'s' * (n != 1)}"


class PlainProgress:
    """Prints a line when a stage ends, and one every 20 seconds for a stage that is still running. `where` gives the
    file with the records of a stage, which an error names."""

    EVERY_SECONDS = 20.0

    def __init__(self, *, quiet: bool = False, where: Where | None = None, debug: bool = False) -> None:
        self.quiet = quiet
        self._reasons = Reasons(where, debug)
        self._done = 0
        self._total = 0
        self._reported: dict[str, float] = {}
        self._busy: set[str] = set()

    def begin(self, total: int, cached: int) -> None:
        self._total = total
        self._say(f"{total} stages to run, {cached} found in the store")

    def failed_before(self, failures: Sequence[tuple[Stage, Mapping[str, Any]]]) -> None:
        self._say(_failed_before(failures))

    def started(self, stage: Stage) -> None:
        self._reported[stage.key] = time.monotonic()

    def progressed(self, stage: Stage, payload: Mapping[str, Any]) -> None:
        if "warning" in payload:
            say(f"warning: {stage.title}: {payload['warning']}", err=True)
            return
        if payload.get("found"):
            self._done += 1
            self._say(f"[{self._done}/{self._total}] {stage.title}: done by another run")
        elif payload.get("busy"):
            if stage.key not in self._busy:
                self._busy.add(stage.key)
                self._say(f"  {stage.title}: another run is executing it")
        elif time.monotonic() - self._reported.get(stage.key, 0.0) >= self.EVERY_SECONDS:
            self._reported[stage.key] = time.monotonic()
            self._say(
                f"  {stage.title}: {payload.get('done', 0):.0f}/{payload.get('total', 0):.0f} {_values(payload)}"
            )

    def finished(self, stage: Stage, record: Mapping[str, Any]) -> None:
        self._done += 1
        line = f"[{self._done}/{self._total}] {stage.title}: {record['status']} in {record['seconds']:.1f} s"
        if record["status"] != "done":
            line += self._reasons.of(stage, record)
        self._say(line)

    def skipped(self, stage: Stage) -> None:
        self._done += 1

    def end(self) -> None:
        return None

    def _say(self, line: str) -> None:
        if not self.quiet:
            say(line, err=True)


class BarProgress:
    """Progress bars at the bottom of a terminal. Failures are printed above them; `where` gives the file with the
    records of a stage, which an error names. `eta`, if given, is shown behind the bar of the matrix."""

    def __init__(
        self,
        console: PlainConsole,
        where: Where | None = None,
        eta: Eta | None = None,
        debug: bool = False,
    ) -> None:
        self._reasons = Reasons(where, debug)
        self._eta = eta
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[values]}", markup=False),
            console=console,
            transient=True,
        )
        self._matrix: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}
        self._console = console

    def begin(self, total: int, cached: int) -> None:
        self._console.print(f"{total} stages to run, {cached} found in the store", highlight=False)
        self._progress.start()
        self._matrix = self._progress.add_task("matrix", total=total, values="")
        self._tell_time_left()

    def failed_before(self, failures: Sequence[tuple[Stage, Mapping[str, Any]]]) -> None:
        self._console.print(_failed_before(failures), style="yellow", markup=False, highlight=False)

    def started(self, stage: Stage) -> None:
        self._tasks[stage.key] = self._progress.add_task(f"  {stage.title}", total=None, values="")
        if self._eta is not None:
            self._eta.started(stage.key)

    def progressed(self, stage: Stage, payload: Mapping[str, Any]) -> None:
        if "warning" in payload:
            self._console.print(f"{stage.title}: {payload['warning']}", style="yellow", markup=False)
        elif payload.get("found") or payload.get("busy"):
            if stage.key in self._tasks:
                self._progress.remove_task(self._tasks.pop(stage.key))
            if payload.get("found"):
                self._ended(stage, well=False)
        elif stage.key in self._tasks:
            done, total = payload.get("done"), payload.get("total")
            if self._eta is not None and done is not None and total:
                self._eta.progressed(stage.key, done, total)
                self._tell_time_left()
            self._progress.update(
                self._tasks[stage.key], completed=done, total=total, values=_values(payload)
            )

    def finished(self, stage: Stage, record: Mapping[str, Any]) -> None:
        if stage.key in self._tasks:
            self._progress.remove_task(self._tasks.pop(stage.key))
        if record["status"] != "done":
            line = f"{stage.title}: {record['status']}{self._reasons.of(stage, record)}"
            self._console.print(line, style="red", markup=False, highlight=False)
        self._ended(stage, well=record["status"] == "done")

    def skipped(self, stage: Stage) -> None:
        self._ended(stage, well=False)

    def _ended(self, stage: Stage, *, well: bool) -> None:
        if self._eta is not None:
            self._eta.finished(stage.key, well=well)
        if self._matrix is not None:
            self._progress.advance(self._matrix)
        self._tell_time_left()

    def _tell_time_left(self) -> None:
        if self._matrix is not None and self._eta is not None:
            self._progress.update(self._matrix, values=str(self._eta))

    def end(self) -> None:
        self._progress.stop()


class ProgressWithHooks:
    """Passes events on to another observer and to the lifecycle hooks of plugins."""

    def __init__(self, inner: PlainProgress | BarProgress, lifecycle: Lifecycle) -> None:
        self.inner = inner
        self.lifecycle = lifecycle
        self.begin, self.started, self.end = inner.begin, inner.started, inner.end
        self.failed_before, self.skipped = inner.failed_before, inner.skipped

    def progressed(self, stage: Stage, payload: Mapping[str, Any]) -> None:
        self.inner.progressed(stage, payload)
        if payload.get("values"):
            step = int(payload.get("done", 0))
            self.lifecycle.log(stage.title, stage.key, step, payload["values"])

    def finished(self, stage: Stage, record: Mapping[str, Any]) -> None:
        self.inner.finished(stage, record)
        self.lifecycle.stage_finish(record)


def _values(payload: Mapping[str, Any]) -> str:
    return " ".join(f"{name} {value:.3g}" for name, value in (payload.get("values") or {}).items())
