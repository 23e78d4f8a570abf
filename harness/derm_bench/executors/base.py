"""The interface of executors: settings, jobs and events."""

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
    """Settings of a run. `timeout` is in seconds per stage, `memory` in MB of resident memory per stage. `plugin_files`
    are the absolute paths of the Python files that workers load as plugins, too (`Plugins(files=...)`)."""

    store: Path
    machine: Machine
    workers: int | None = None
    timeout: float | None = None
    memory: int | None = None
    builtins_only: bool = False
    plugin_files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Job:
    """A stage to run, with the state of each of its optional inputs: `{name: {key, status, error}}`."""

    stage: Stage
    optional: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.stage.key


@dataclass(frozen=True)
class Event:
    """An event of a running stage: its `progress` (done, total, values) or its `finished` record."""

    kind: Literal["progress", "finished"]
    key: str
    payload: Mapping[str, Any]


class Executor(Protocol):
    """Runs stages. An executor that shares devices among stages may also have `has_room(stage) -> bool`, which returns
    whether this stage may start now; it is then called instead of `free`."""

    def free(self) -> int:
        """The number of stages that may be submitted now."""
        ...

    def submit(self, job: Job) -> None:
        """Starts a stage."""
        ...

    def poll(self, timeout: float) -> Sequence[Event]:
        """Waits up to `timeout` seconds for events and returns them."""
        ...

    def stop(self) -> Sequence[Event]:
        """Stops all running stages and returns their records, with the status `interrupted`."""
        ...


def default_workers(machine: Machine) -> int:
    """The default number of workers: cores // threads. With GPUs at most `SHARES` per GPU, and at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fed = max(1, cores // machine.threads)
    if machine.device != "cuda":
        return fed
    return max(len(machine.devices), min(fed, SHARES * len(machine.devices)))


def message_of(job: Job, settings: ExecutorSettings) -> dict[str, Any]:
    """The message to a worker (JSON) that describes a job, with a new name for this attempt."""
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
        "precision": stage.shared["numerics"].get("precision", settings.machine.precision),
        "threads": settings.machine.threads,
    }
