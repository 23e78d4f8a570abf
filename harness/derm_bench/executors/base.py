"""What every executor is given and gives back."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from derm_bench.executors.slots import SHARES
from derm_bench.plan.model import Stage
from derm_bench.plan.numerics import Machine

Status = Literal["done", "failed", "timeout", "oom", "diverged", "interrupted"]


@dataclass(frozen=True)
class ExecutorSettings:
    """How stages are to be run. `timeout` is in seconds a stage, `memory` in MB of resident memory a stage."""

    store: Path
    machine: Machine
    workers: int | None = None
    timeout: float | None = None
    memory: int | None = None
    builtins_only: bool = False


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

    def submit(self, stage: Stage) -> None: ...

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


def job_of(stage: Stage, settings: ExecutorSettings) -> dict[str, Any]:
    """A stage as JSON for a worker, and the name of this attempt at it."""
    return {
        "attempt": uuid.uuid4().hex,
        "key": stage.key,
        "kind": stage.kind,
        "title": stage.title,
        "function": stage.function,
        "identity": stage.identity,
        "local": stage.local,
        "store": str(settings.store),
        "precision": settings.machine.precision,
        "threads": settings.machine.threads,
    }
