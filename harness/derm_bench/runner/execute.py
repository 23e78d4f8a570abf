"""Executes the missing stages of a plan, the longest of those that are ready first."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from derm_bench.executors.base import Executor
from derm_bench.plan.model import Plan, Stage
from derm_bench.store import Store

StageStatus = Literal["done", "failed", "timeout", "oom", "diverged", "interrupted", "skipped", "pending"]
FAILURES = ("failed", "timeout", "oom", "diverged")
POLL_SECONDS = 0.25
# A stage that another run is at is looked at again after this long.
BUSY_SECONDS = 0.5
# How often a stage may be taken up again after its worker was killed from outside.
REVIVALS = 2


@dataclass(frozen=True)
class Outcome:
    """How a stage stands after a run. `error` is for a person; `cause` the key of what it was skipped for."""

    status: StageStatus
    error: str = ""
    cause: str | None = None
    fresh: bool = False


class Observer(Protocol):
    """Is told what happens while a plan executes."""

    def begin(self, total: int, cached: int) -> None: ...

    def started(self, stage: Stage) -> None: ...

    def progressed(self, stage: Stage, payload: Mapping[str, Any]) -> None: ...

    def finished(self, stage: Stage, record: Mapping[str, Any]) -> None: ...

    def end(self) -> None: ...


@dataclass
class Execution:
    """One pass over a plan. `outcomes` has an entry for every stage that was needed."""

    plan: Plan
    store: Store
    retry_failed: bool = False
    max_failures: int | None = None
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    interrupted: bool = False
    _failures: int = 0
    _revived: Counter[str] = field(default_factory=Counter)
    _alone: set[str] = field(default_factory=set)

    def needed(self, targets: Iterable[str]) -> list[str]:
        """Stages to run so that `targets` exist: a finished stage does not need what it was made from."""
        order: dict[str, None] = {}
        stack = [(key, False) for key in reversed(list(dict.fromkeys(targets)))]
        while stack:
            key, ready = stack.pop()
            if key in order:
                continue
            if ready:
                order[key] = None
                continue
            if self.store.has(key):
                self.outcomes[key] = Outcome("done")
                continue
            stack.append((key, True))
            stack += [(other, False) for other in self.plan.stages[key].inputs.values() if other not in order]
        return list(order)

    def run(self, executor: Executor | None, targets: Iterable[str], observer: Observer) -> None:
        """Runs what is missing. On Ctrl-C what runs is stopped, recorded as interrupted, and the rest is pending."""
        todo = self.needed(targets)
        observer.begin(len(todo), len(self.outcomes))
        self._settle_known_failures(todo)
        try:
            if executor is not None:
                self._loop(executor, [key for key in todo if key not in self.outcomes], observer)
        except KeyboardInterrupt:
            self.interrupted = True
            for event in executor.stop() if executor is not None else ():
                self._record(self.plan.stages[event.key], event.payload, observer)
        finally:
            for key in todo:
                self.outcomes.setdefault(key, Outcome("pending", "the run ended before it started"))
            observer.end()

    def _settle_known_failures(self, todo: Sequence[str]) -> None:
        """A stage that failed before stays failed, unless asked to retry or it was stopped from outside."""
        for key in todo:
            if key in self.outcomes:
                continue
            cause = next((k for k in self.plan.stages[key].inputs.values() if self._is_lost(k)), None)
            if cause is not None:
                self._skip(key, cause)
                continue
            last = next(iter(reversed(self.store.records(key))), None) if not self.retry_failed else None
            if last is not None and last["status"] in FAILURES and not last.get("retry"):
                message = f"{error_of(last)} (earlier attempt; --retry-failed tries again)"
                self.outcomes[key] = Outcome(last["status"], message)

    def _is_lost(self, key: str) -> bool:
        outcome = self.outcomes.get(key)
        return outcome is not None and outcome.status not in ("done", "pending")

    def _skip(self, key: str, cause: str) -> None:
        root = self.outcomes[cause].cause or cause
        error = f"needs '{self.plan.stages[root].title}', which ended as {self.outcomes[root].status}"
        self.outcomes[key] = Outcome("skipped", f"{error}: {self.outcomes[root].error}", root)

    def _loop(self, executor: Executor, todo: Sequence[str], observer: Observer) -> None:
        stages = self.plan.stages
        waiting = {
            key: {k for k in stages[key].inputs.values() if k in todo_set}
            for todo_set in [set(todo)]
            for key in todo
        }
        followers: dict[str, list[str]] = {}
        for key, inputs in waiting.items():
            for other in inputs:
                followers.setdefault(other, []).append(key)
        priority = _priorities(self.plan, todo, followers)
        ready = [(-priority[key], k, key) for k, key in enumerate(todo) if not waiting[key]]
        heapq.heapify(ready)
        later: list[tuple[float, str]] = []
        running: set[str] = set()
        while running or ((ready or later) and not self._enough_failures()):
            for due, key in [entry for entry in later if entry[0] <= time.monotonic()]:
                later.remove((due, key))
                heapq.heappush(ready, (-priority[key], 0, key))
            while ready and self._may_start(ready[0][2], executor, running):
                key = heapq.heappop(ready)[2]
                if self.store.has(key):  # another run published it meanwhile
                    self.outcomes[key] = Outcome("done")
                    self._release(key, followers, waiting, ready, priority)
                    continue
                observer.started(stages[key])
                executor.submit(stages[key])
                running.add(key)
            if not running and not ready:
                time.sleep(POLL_SECONDS)
            for event in executor.poll(POLL_SECONDS):
                if event.kind == "progress":
                    observer.progressed(stages[event.key], event.payload)
                    continue
                running.discard(event.key)
                wait = self._settle(stages[event.key], event.payload, observer)
                if wait is None:
                    self._release(event.key, followers, waiting, ready, priority)
                else:
                    later.append((time.monotonic() + wait, event.key))

    def _may_start(self, key: str, executor: Executor, running: Collection[str]) -> bool:
        """A stage that ran out of device memory is tried again with nothing beside it."""
        if self._enough_failures() or any(k in self._alone for k in running):
            return False
        if key in self._alone:
            return not running
        has_room = getattr(executor, "has_room", None)
        return has_room(self.plan.stages[key]) if has_room is not None else executor.free() > 0

    def _settle(self, stage: Stage, record: Mapping[str, Any], observer: Observer) -> float | None:
        """Takes note of how a stage ended; seconds after which it is to be tried again, None where it is settled."""
        status = record["status"]
        if status == "found":
            self.outcomes[stage.key] = Outcome("done")
            observer.progressed(stage, {"found": True})
            return None
        if status == "busy":
            observer.progressed(stage, {"busy": True})
            return BUSY_SECONDS
        self._record(stage, record, observer)
        again = status == "interrupted" and self._revived[stage.key] < REVIVALS
        if (
            status == "oom"
            and str(record.get("device", "")).startswith("cuda")
            and stage.key not in self._alone
        ):
            self._alone.add(stage.key)
            again = True
        if again:
            self._revived[stage.key] += 1
            self._failures -= status in FAILURES
            del self.outcomes[stage.key]
            return 0.0
        return None

    def _record(self, stage: Stage, record: Mapping[str, Any], observer: Observer) -> None:
        try:
            self.store.append(stage.key, record)
        except OSError as error:
            observer.progressed(stage, {"warning": f"its record could not be written: {error}"})
        status = record["status"]
        if status in FAILURES:
            self._failures += 1
        self.outcomes[stage.key] = Outcome(status, "" if status == "done" else error_of(record), fresh=True)
        observer.finished(stage, record)

    def _release(
        self,
        key: str,
        followers: Mapping[str, Sequence[str]],
        waiting: Mapping[str, set[str]],
        ready: list[tuple[float, int, str]],
        priority: Mapping[str, float],
    ) -> None:
        """Makes ready, or skips, what waited for a stage that has ended."""
        for follower in followers.get(key, ()):
            if self.outcomes[key].status != "done":
                if follower not in self.outcomes:
                    self._skip(follower, key)
                    self._release(follower, followers, waiting, ready, priority)
                continue
            waiting[follower].discard(key)
            if not waiting[follower] and follower not in self.outcomes:
                heapq.heappush(ready, (-priority[follower], len(priority), follower))

    def _enough_failures(self) -> bool:
        return self.max_failures is not None and self._failures >= self.max_failures


def error_of(record: Mapping[str, Any]) -> str:
    """The message of a record's error."""
    return (record.get("error") or {}).get("message", "")


def _priorities(plan: Plan, todo: Sequence[str], followers: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Seconds on the longest way from a stage to the end: what holds up most goes first."""
    priority: dict[str, float] = {}
    for key in reversed(todo):
        ahead = max((priority[k] for k in followers.get(key, ()) if k in priority), default=0.0)
        priority[key] = plan.stages[key].cost + ahead
    return priority
