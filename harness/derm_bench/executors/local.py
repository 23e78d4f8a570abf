"""The executor `local`: a pool of worker processes on this machine, each pinned to a device.

Workers are reused, so that torch is imported once. If a stage exceeds a limit or crashes the interpreter, its worker is
replaced and the stage gets a record; other stages go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from derm_bench.attempts import RUN_ENDED, new_record
from derm_bench.executors.base import Event, ExecutorSettings, Job, default_workers, message_of
from derm_bench.executors.output_tail import OutputTail
from derm_bench.executors.placement import Placement
from derm_bench.memory import resident_mb
from derm_bench.plan.model import Stage

WATCH_SECONDS = 0.25
# The time of a stage starts when its worker begins it. This is how long a worker may take to get ready.
START_SECONDS = 300.0
# Signals by which a process fails by itself, or by its own limits. Any other has been sent from outside.
CRASHES = frozenset(
    getattr(signal, name)
    for name in (
        "SIGSEGV",
        "SIGBUS",
        "SIGABRT",
        "SIGFPE",
        "SIGILL",
        "SIGSYS",
        "SIGTRAP",
        "SIGXCPU",
        "SIGXFSZ",
    )
    if hasattr(signal, name)
)
# By default glibc returns large blocks to the kernel and faults them in again, which slows activations several times.
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_TOP_PAD_": "67108864",
}
# Threads of a worker that wait for each other sleep. By default they spin, which on a busy machine takes the time of
# the thread that they wait for: on two busy cores a step of two threads took 2 to 7 times as long, and on idle ones at
# most 5% less.
WAIT = {"OMP_WAIT_POLICY": "PASSIVE"}


class LocalExecutor:
    """A pool of workers, each of which runs one stage at a time."""

    def __init__(self, options: object, settings: ExecutorSettings) -> None:
        self.settings = settings
        devices = settings.machine.devices
        count = settings.workers or default_workers(settings.machine)
        self._selector = selectors.DefaultSelector()
        self._workers: list[_Worker | None] = [None] * count
        self._devices = [devices[k % len(devices)] for k in range(count)]
        self._placement = Placement(devices, settings.machine.memory)

    def free(self) -> int:
        """The number of workers without a stage."""
        return sum(worker is None or worker.stage is None for worker in self._workers)

    def has_room(self, stage: Stage) -> bool:
        """Whether there is an idle worker whose device has enough memory for the stage, or runs no other stage."""
        return self._placement.place(stage, self._has_idle_worker) is not None

    def _has_idle_worker(self, device: str) -> bool:
        return any(
            own == device and (worker is None or worker.stage is None)
            for own, worker in zip(self._devices, self._workers, strict=True)
        )

    def submit(self, job: Job) -> None:
        """Sends a stage to an idle worker; starts a worker if there is none."""
        stage = job.stage
        device = self._placement.place(stage, self._has_idle_worker)
        assert device is not None, "submit may only be called if has_room returns True"
        self._placement.take(stage, device)
        here = [k for k, own in enumerate(self._devices) if own == device]
        warm = (k for k in here if (w := self._workers[k]) is not None and w.stage is None)
        place = next(warm, None)
        if place is None:
            place = next(k for k in here if self._workers[k] is None)
        worker = self._workers[place]
        if worker is None:
            worker = self._workers[place] = _Worker(self._devices[place], self.settings)
            self._selector.register(worker.events, selectors.EVENT_READ, place)
        worker.start(job, self.settings)

    def poll(self, timeout: float) -> Sequence[Event]:
        """The events of all workers. Kills workers whose stage exceeds a limit, and removes dead workers."""
        events: list[Event] = []
        for ready, _ in self._selector.select(min(timeout, WATCH_SECONDS)):
            events += self._read(ready.data)
        for place, worker in enumerate(self._workers):
            exceeded = worker.over_limit(self.settings) if worker is not None else None
            if worker is not None and exceeded is not None:
                events.append(self._lost(worker, *exceeded))
                self._remove(place)
        return events

    def stop(self) -> Sequence[Event]:
        """Ends all workers; their stages are `interrupted`."""
        events = []
        for place, worker in enumerate(self._workers):
            if worker is not None:
                if worker.stage is not None:
                    events.append(self._lost(worker, "interrupted", RUN_ENDED))
                self._remove(place)
        return events

    def _read(self, place: int) -> list[Event]:
        worker = self._workers[place]
        assert worker is not None
        lines = worker.read_events()
        events = []
        for line in lines:
            message = json.loads(line)
            payload = message["payload"]
            if message["event"] == "started":
                worker.began = time.monotonic()
                continue
            if message["event"] == "finished":
                assert worker.stage is not None
                self._placement.release(worker.stage, payload)
                payload = payload | {"log_tail": worker.log_tail() if payload["status"] != "done" else ""}
                worker.stage = None
            events.append(Event(message["event"], message["key"], payload))
            if message.get("retire"):
                self._remove(place)
                return events
        if lines or not worker.closed:
            return events
        if worker.stage is not None:
            events.append(self._lost(worker, *worker.exit_status()))
        self._remove(place)
        return events

    def _lost(self, worker: _Worker, status: str, message: str) -> Event:
        assert worker.stage is not None
        self._placement.release(worker.stage)
        return worker.lost(status, message)

    def _remove(self, place: int) -> None:
        worker = self._workers[place]
        if worker is not None:
            # Already unregistered where a second Ctrl-C has cut a first attempt short.
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(worker.events)
            worker.end()
            self._workers[place] = None


class _Worker:
    """One worker process and the stage that it runs."""

    def __init__(self, device: str, settings: ExecutorSettings) -> None:
        # A pinned worker sees only one device, as the first.
        self.device = "cuda:0" if device.startswith("cuda") else device
        read, write = os.pipe()
        arguments = [
            sys.executable,
            "-m",
            "derm_bench.worker.serve",  # not imported, since a worker is a separate process that imports torch
            str(write),
            self.device,
            str(os.getpid()),
        ]
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[write],
            env=_environment(device, settings),
            start_new_session=True,
        )
        os.close(write)
        os.set_blocking(read, False)
        self.events: IO[bytes] = os.fdopen(read, "rb", buffering=0)
        self.stage: Stage | None = None
        self.closed = False
        self._job: Mapping[str, Any] = {}
        self.began = 0.0
        self._kernel_kills = kernel_kills()
        self._partial = b""
        self._log = OutputTail(self.process.stdout)

    def start(self, job: Job, settings: ExecutorSettings) -> None:
        """Sends a stage. A worker that has died is noticed when its events are read."""
        self.stage, self._job = job.stage, message_of(job, settings)
        self.began = time.monotonic() + START_SECONDS
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(self._job).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.closed = True

    def read_events(self) -> list[bytes]:
        """The complete lines that have arrived. Sets `closed` when the worker has ended."""
        chunk = self.events.read(1 << 20)
        if chunk == b"":
            self.closed = True
            return []
        self._partial += chunk or b""
        *lines, self._partial = self._partial.split(b"\n")
        return lines

    def over_limit(self, settings: ExecutorSettings) -> tuple[str, str] | None:
        """Status and message if the stage has exceeded a limit, else None."""
        if self.stage is None:
            return None
        spent = time.monotonic() - self.began
        if settings.timeout is not None and spent > settings.timeout:
            return "timeout", f"stopped after {spent:.0f} s: the limit is {settings.timeout:g} s per stage"
        if settings.memory is not None and (used := resident_mb(self.process.pid)) > settings.memory:
            return (
                "oom",
                f"stopped at {used:.0f} MB of resident memory: the limit is {settings.memory} MB per stage",
            )
        return None

    def lost(self, status: str, message: str) -> Event:
        """The record of a stage whose worker could not write one."""
        assert self.stage is not None
        record = new_record(self._job, self.device) | {
            "status": status,
            "seconds": round(max(0.0, time.monotonic() - self.began), 4),
            "peak_memory_mb": None,
            "peak_device_mb": None,
            "error": {"type": status, "message": message, "traceback": ""},
            "log_tail": self.log_tail(),
        }
        key, self.stage = self.stage.key, None
        return Event("finished", key, record)

    def log_tail(self) -> str:
        """The last 16 kB that the worker printed."""
        return self._log.text()

    def exit_status(self) -> tuple[str, str]:
        """Status and message of a stage whose worker process has ended."""
        code = self.process.wait()
        if code == -signal.SIGKILL and kernel_kills() > self._kernel_kills:
            return "oom", "the kernel killed the worker because memory ran out"
        if code < 0 and -code in CRASHES:
            return "failed", f"the worker crashed with signal {-code} ({_signal_name(-code)})"
        if code < 0:
            return (
                "interrupted",
                f"the worker was ended from outside with signal {-code} ({_signal_name(-code)})",
            )
        return "failed", f"the worker ended with exit code {code}"

    def end(self) -> None:
        """Kills the process and all processes that it has started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.events):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return "no name"


def kernel_kills() -> int:
    """The number of processes that the kernel has killed because memory ran out; 0 if it is unknown."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _environment(device: str, settings: ExecutorSettings) -> dict[str, str]:
    threads = str(settings.machine.threads)
    env = WAIT | os.environ | MALLOC
    env |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    env["OPENCV_FOR_THREADS_NUM"] = "1"  # images are preprocessed side by side, on as many threads
    env |= {"PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    env["DERM_BENCH_PLUGIN_FILES"] = json.dumps([str(file) for file in settings.plugin_files])
    if settings.builtins_only:
        env["DERM_BENCH_BUILTINS_ONLY"] = "1"
    env["CUDA_VISIBLE_DEVICES"] = _visible(device) if device.startswith("cuda") else ""
    return env


def _visible(device: str) -> str:
    """The index of a device among those of the parent's own CUDA_VISIBLE_DEVICES."""
    index = int(device.partition(":")[2] or 0)
    outer = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return outer[index] if index < len(outer) else str(index)
