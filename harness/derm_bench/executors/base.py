"""What every executor is given and gives back."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from derm_bench.executors.placement import SHARES
from derm_bench.machine import Machine
from derm_bench.plan.kinds import kind_of
from derm_bench.plan.model import Stage


@dataclass(frozen=True)
class ExecutorSettings:
    """How stages are to be run. `timeout` is in seconds per stage, `memory` in MB of resident memory per stage."""

    store: Path
    machine: Machine
    workers: int | None = None
    timeout: float | None = None
    memory: int | None = None
    builtins_only: bool = False


@dataclass(frozen=True)
class Job:
    """A stage to run, and how each of its optional inputs has ended: `{name: {key, status, error}}`."""

    stage: Stage
    optional: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.stage.key


@dataclass(frozen=True)
class Event:
    """`progress` of a running stage (done, total, values) or its `finished` record."""

    kind: Literal["progress", "finished"]
    key: str
    payload: Mapping[str, Any]


class Executor(Protocol):
    """Runs stages. `free` says how many more it takes now; `poll` waits up to `timeout` seconds for events.

    One that shares devices among stages also has `has_room(stage) -> bool`: whether this stage may start now."""

    def free(self) -> int: ...

    def submit(self, job: Job) -> None: ...

    def poll(self, timeout: float) -> Sequence[Event]: ...

    def stop(self) -> Sequence[Event]:
        """Ends what is running; each gets a record `interrupted`."""
        ...


def default_workers(machine: Machine) -> int:
    """As many as the cores have threads for; several share a GPU, where memory allows (see `slots`)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fed = max(1, cores // machine.threads)
    if machine.device != "cuda":
        return fed
    return max(len(machine.devices), min(fed, SHARES * len(machine.devices)))


def message_of(job: Job, settings: ExecutorSettings) -> dict[str, Any]:
    """A job as JSON for a worker (`derm_bench.worker.perform`), and the name of this attempt at it."""
    stage, kind = job.stage, kind_of(job.stage)
    return {
        "attempt": uuid.uuid4().hex,
        "key": stage.key,
        "kind": stage.kind,
        "title": stage.title,
        "function": kind.function,
        "params": f"{kind.params.__module__}:{kind.params.__qualname__}",
        "identity": stage.identity,
        "local": stage.local,
        "optional": job.optional,
        "store": str(settings.store),
        "precision": settings.machine.precision,
        "threads": settings.machine.threads,
    }
