"""Executes the missing stages of a plan. Of the stages that are ready, that with the longest remaining path is
first."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from derm_bench.attempts import FAILURES
from derm_bench.executors.base import Executor, Job
from derm_bench.plan.amounts import Amounts
from derm_bench.plan.keys import key_of
from derm_bench.plan.kinds import guessed_seconds
from derm_bench.plan.model import Plan, Stage
from derm_bench.store import Store

StageStatus = Literal[
    "done", "failed", "timeout", "oom", "diverged", "interrupted", "waiting", "skipped", "pending"
]
POLL_SECONDS = 0.25
# Seconds until a stage that another run is executing is tried again.
BUSY_SECONDS = 0.5
# How often a stage is tried again after its worker was killed from outside.
REVIVALS = 2
# The limit at which a stage with this status may have been stopped.
LIMIT_OF = {"timeout": "timeout", "oom": "memory"}


@dataclass(frozen=True)
class Outcome:
    """The state of a stage after a run. `error` is the message for the user; `cause` is the key of the stage for which
    it was skipped; `ran_now` is true if this run made an attempt at it."""

    status: StageStatus
    error: str = ""
    cause: str | None = None
    ran_now: bool = False


PENDING = Outcome("pending")


class Observer(Protocol):
    """Receives the events of an execution."""

    def begin(self, total: int, cached: int) -> None: ...

    def failed_before(self, failures: Sequence[tuple[Stage, Mapping[str, Any]]]) -> None:
        """Receives, after `begin`, the stages that are not tried again, with the record of their last attempt."""

    def started(self, stage: Stage) -> None: ...

    def progressed(self, stage: Stage, payload: Mapping[str, Any]) -> None: ...

    def finished(self, stage: Stage, record: Mapping[str, Any]) -> None: ...

    def skipped(self, stage: Stage) -> None:
        """Receives a stage that will not start, because one that it needs has not ended well in this execution."""

    def end(self) -> None: ...


@dataclass
class Execution:
    """An execution of a plan. `outcomes` has an entry for every stage that was needed. limits: `timeout` in seconds and
    `memory` in MB of this execution; a limit that is absent or None is none. A stage that failed at a lower limit is
    tried again, and `raised` lists these stages with the records of their last attempts."""

    plan: Plan
    store: Store
    retry_failed: bool = False
    max_failures: int | None = None
    limits: Mapping[str, float | None] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    interrupted: bool = False
    # Planned key -> key of the stage that ran instead, because an optional input had not ended well.
    actual_keys: dict[str, str] = field(default_factory=dict)
    raised: list[tuple[Stage, Mapping[str, Any]]] = field(default_factory=list)
    _failures: int = 0
    _revived: Counter[str] = field(default_factory=Counter)
    _alone: set[str] = field(default_factory=set)

    def needed(self, targets: Iterable[str]) -> list[str]:
        """The stages to run so that `targets` exist. A finished stage does not need its inputs, and optional inputs are
        not run for the stages that read them. Targets that differ from what was published, in what tables are made
        from, are set aside here."""
        order: dict[str, None] = {}
        wanted = list(dict.fromkeys(targets))
        for key in wanted:
            self.store.finished(key)
        stack = [(key, False) for key in reversed(wanted)]
        while stack:
            key, ready = stack.pop()
            if key in order or (key in self.outcomes and not ready):
                continue
            if ready:
                order[key] = None
                continue
            stage = self.plan.stages[key]
            if self._is_there(stage):
                self.outcomes[key] = Outcome("done")
                continue
            stack.append((key, True))
            stack += [
                (other, False) for other in (*stage.inputs.values(), *stage.after) if other not in order
            ]
        return list(order)

    def _is_there(self, stage: Stage) -> bool:
        """Whether a stage need not run: it has finished and so have all of its optional inputs."""
        return self.store.has(stage.key) and all(self.store.has(key) for key in stage.optional.values())

    def run(self, executor: Executor | None, targets: Iterable[str], observer: Observer) -> None:
        """Runs the missing stages. On Ctrl-C running stages are stopped and recorded as interrupted; the others are
        pending."""
        known = len(self.outcomes)
        todo = self.needed(targets)
        cached = len(self.outcomes) - known
        failures = self.mark_known_failures(todo)
        left = [key for key in todo if key not in self.outcomes]
        observer.begin(len(left), cached)
        if failures:
            observer.failed_before(failures)
        loop = _Loop(self, executor, left, observer)
        try:
            loop.run()
        except KeyboardInterrupt:
            self.interrupted = True
            for event in executor.stop() if executor is not None else ():
                self.record(loop.stage_of(event.key), event.payload, observer)
        finally:
            for key in todo:
                self.outcomes.setdefault(key, Outcome("pending", "the run ended before it started"))
            self._close_gates()
            observer.end()

    def outcome(self, key: str) -> Outcome:
        """The state of a stage. One that was not needed is done if it has finished, else pending."""
        if key in self.outcomes:
            return self.outcomes[key]
        return Outcome("done") if self.store.has(key) else Outcome("pending", "it was not selected")

    # --------------------------------------------------------------------- optional inputs

    def job_of(self, stage: Stage) -> Job:
        """The job for a stage. If an optional input has not ended well, the stage gets another key, which covers the
        statuses of its optional inputs: statistics over nine of ten cells are not those over ten."""
        if not stage.optional and not self.actual_keys:
            return Job(stage)
        inputs = {name: self.actual_keys.get(key, key) for name, key in stage.inputs.items()}
        optional = {name: self.actual_keys.get(key, key) for name, key in stage.optional.items()}
        ended_as = {name: (key, self.outcome(stage.optional[name])) for name, key in optional.items()}
        ended = {name: outcome.status for name, (_, outcome) in ended_as.items() if outcome.status != "done"}
        if ended or inputs != stage.inputs or optional != stage.optional:
            shared = {**stage.shared, "ended": ended}
            stage_now = replace(stage, inputs=inputs, optional=optional, shared=shared)
            key = key_of(stage_now.identity)
            stage_now = replace(stage_now, key=key)
            self.actual_keys[stage.key] = key
        else:
            stage_now = stage
        return Job(
            stage_now,
            {
                name: {"key": key, "status": outcome.status, "error": outcome.error}
                for name, (key, outcome) in ended_as.items()
            },
        )

    # --------------------------------------------------------------------- outcomes

    def mark_known_failures(self, todo: Sequence[str]) -> list[tuple[Stage, Mapping[str, Any]]]:
        """Marks stages that failed in an earlier run as failed, unless they are to be retried, were stopped from
        outside or failed at a limit that is raised now, and what needs them as skipped. Returns the failed stages with
        the records of their last attempts."""
        found: list[tuple[Stage, Mapping[str, Any]]] = []
        for key in todo:
            if key in self.outcomes:
                continue
            stage = self.plan.stages[key]
            cause = next((k for k in (*stage.inputs.values(), *stage.after) if self._is_unavailable(k)), None)
            if cause is not None:
                self.skip(key, cause)
                continue
            last = next(iter(reversed(self.store.records(key))), None) if not self.retry_failed else None
            if last is not None and self._is_raised(last):
                self.raised.append((stage, last))
            elif last is not None and last["status"] in FAILURES and not last.get("retry"):
                message = f"{error_of(last)} (earlier attempt; --retry-failed tries again)"
                self.outcomes[key] = Outcome(last["status"], message)
                found.append((stage, last))
        return found

    def _is_raised(self, record: Mapping[str, Any]) -> bool:
        """Whether an attempt failed at a limit that is higher now, or gone."""
        name = LIMIT_OF.get(record["status"])
        limits = record.get("limits")
        was = limits.get(name) if isinstance(limits, Mapping) else None
        if name is None or not isinstance(was, int | float):
            return False
        now = self.limits.get(name)
        return now is None or now > was

    def without_made(self, todo: Sequence[str]) -> list[str]:
        """Leaves out the stages that an earlier run made under the key for their optional inputs as these ended."""
        left: dict[str, None] = dict.fromkeys(todo)
        for key in todo:
            stage = self.plan.stages[key]
            open_still = any(k in left for k in (*stage.inputs.values(), *stage.optional.values()))
            if stage.optional and not open_still and self.store.has(self.job_of(stage).key):
                del left[key]
        return list(left)

    def _close_gates(self) -> None:
        """Marks stages that an earlier run has made as skipped if a gate that they come after has failed, such as
        that of an audit without the permit of that run, and what was made of them."""
        gates = {audit.gate for audit in self.plan.audits}
        closed: set[str] = set()
        for key, stage in self.plan.stages.items():
            if self.outcomes.get(key, PENDING).status != "done":
                continue
            failed = (k for k in stage.after if k in gates and self._has_failed(k))
            cause = next(failed, None) or next((k for k in stage.inputs.values() if k in closed), None)
            if cause is not None:
                self.skip(key, cause)
                closed.add(key)

    def _has_failed(self, key: str) -> bool:
        return self.outcomes.get(key, PENDING).status in (*FAILURES, "skipped")

    def _is_unavailable(self, key: str) -> bool:
        outcome = self.outcomes.get(key)
        return outcome is not None and outcome.status not in ("done", "pending")

    def skip(self, key: str, cause: str) -> None:
        """Marks a stage as skipped because the stage `cause` is not done."""
        root = self.outcomes[cause].cause or cause
        title, outcome = self.plan.stages[root].title, self.outcomes[root]
        if outcome.status == "waiting":
            error = f"waits for a person in '{title}': {outcome.error}"
        else:
            error = f"needs '{title}', which ended as {outcome.status}: {outcome.error}"
        self.outcomes[key] = Outcome("skipped", error, root)

    def handle_record(self, stage: Stage, record: Mapping[str, Any], observer: Observer) -> float | None:
        """Stores how an attempt ended. Returns the seconds after which to try again, or None if the stage has ended."""
        status = record["status"]
        if status == "found":
            self.outcomes[stage.key] = Outcome("done")
            observer.progressed(stage, {"found": True})
            return None
        if status == "busy":
            observer.progressed(stage, {"busy": True})
        if status in ("busy", "stale"):  # stale: the worker is replaced
            return BUSY_SECONDS
        self.record(stage, record, observer)
        again = status == "interrupted" and self._revived[stage.key] < REVIVALS
        on_device = str(record.get("device", "")).startswith("cuda")
        if status == "oom" and on_device and stage.key not in self._alone:
            self._alone.add(stage.key)
            again = True
        if again:
            self._revived[stage.key] += 1
            self._failures -= status in FAILURES
            del self.outcomes[stage.key]
            return 0.0
        return None

    def record(self, stage: Stage, record: Mapping[str, Any], observer: Observer) -> None:
        """Appends the record of an attempt at a planned stage to the store and updates its outcome. A stage that was
        stopped at a limit gets the limits of this execution in its record."""
        status = record["status"]
        if status in LIMIT_OF:
            record = {**record, "limits": dict(self.limits)}
        try:
            self.store.append(self.actual_keys.get(stage.key, stage.key), record)
        except OSError as error:
            observer.progressed(stage, {"warning": f"its record could not be written: {error}"})
        if status in FAILURES:
            self._failures += 1
        self.outcomes[stage.key] = Outcome(status, "" if status == "done" else error_of(record), ran_now=True)
        observer.finished(stage, record)

    def enough_failures(self) -> bool:
        return self.max_failures is not None and self._failures >= self.max_failures

    def runs_alone(self, key: str) -> bool:
        """Whether a stage ran out of device memory, so that it is tried again with no other stage beside it."""
        return key in self._alone


class _Loop:
    """Starts stages as the stages that they wait for end."""

    def __init__(
        self, execution: Execution, executor: Executor | None, todo: Sequence[str], observer: Observer
    ) -> None:
        self.execution, self.executor, self.observer = execution, executor, observer
        self.stages = execution.plan.stages
        known = set(todo)
        self.waiting = {key: {k for k in self.stages[key].before() if k in known} for key in todo}
        self.followers: dict[str, list[str]] = {}
        for key, others in self.waiting.items():
            for other in others:
                self.followers.setdefault(other, []).append(key)
        self.priority = _priorities(execution.plan, todo, self.followers)
        self.ready = [(-self.priority[key], k, key) for k, key in enumerate(todo) if not self.waiting[key]]
        heapq.heapify(self.ready)
        self.later: list[tuple[float, str]] = []
        self.running: dict[str, str] = {}  # key of the job -> planned key

    def stage_of(self, key: str) -> Stage:
        """The planned stage of a running job."""
        return self.stages[self.running.get(key, key)]

    def run(self) -> None:
        """Runs until every stage that can run has ended."""
        if self.executor is None:
            return
        executor = self.executor
        while self.running or ((self.ready or self.later) and not self.execution.enough_failures()):
            for due, key in [entry for entry in self.later if entry[0] <= time.monotonic()]:
                self.later.remove((due, key))
                heapq.heappush(self.ready, (-self.priority[key], 0, key))
            while self.ready and self._may_start(self.ready[0][2], executor):
                self._start(heapq.heappop(self.ready)[2], executor)
            if not self.running and not self.ready:
                time.sleep(POLL_SECONDS)
            for event in executor.poll(POLL_SECONDS):
                stage = self.stage_of(event.key)
                if event.kind == "progress":
                    self.observer.progressed(stage, event.payload)
                    continue
                wait = self.execution.handle_record(stage, event.payload, self.observer)
                self.running.pop(event.key, None)
                if wait is None:
                    self._release(stage.key)
                else:
                    self.later.append((time.monotonic() + wait, stage.key))

    def _may_start(self, key: str, executor: Executor) -> bool:
        if self.execution.enough_failures() or any(map(self.execution.runs_alone, self.running.values())):
            return False
        if self.execution.runs_alone(key):
            return not self.running
        has_room = getattr(executor, "has_room", None)
        return has_room(self.stages[key]) if has_room is not None else executor.free() > 0

    def _start(self, key: str, executor: Executor) -> None:
        job = self.execution.job_of(self.stages[key])
        if self.execution.store.finished(job.key):  # published by another run meanwhile, or by an earlier one
            self.execution.outcomes[key] = Outcome("done")
            self._release(key)
            return
        self.observer.started(self.stages[key])
        executor.submit(job)
        self.running[job.key] = key

    def _release(self, key: str) -> None:
        """Makes the stages ready that waited for a stage, or skips them if it has not ended well."""
        well = self.execution.outcomes[key].status == "done"
        for follower in self.followers.get(key, ()):
            stage = self.stages[follower]
            if not well and (key in stage.inputs.values() or key in stage.after):
                if follower not in self.execution.outcomes:
                    self.execution.skip(follower, key)
                    self.observer.skipped(stage)
                    self._release(follower)
                continue
            self.waiting[follower].discard(key)
            if not self.waiting[follower] and follower not in self.execution.outcomes:
                heapq.heappush(self.ready, (-self.priority[follower], len(self.priority), follower))


def error_of(record: Mapping[str, Any]) -> str:
    """The message of a record's error."""
    return (record.get("error") or {}).get("message", "")


def _priorities(plan: Plan, todo: Sequence[str], followers: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Seconds on the longest path from each stage to the end of the plan."""
    priority: dict[str, float] = {}
    amounts = Amounts(plan)
    for key in reversed(todo):
        ahead = max((priority[k] for k in followers.get(key, ()) if k in priority), default=0.0)
        priority[key] = guessed_seconds(plan.stages[key], amounts) + ahead
    return priority
