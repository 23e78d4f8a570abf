"""Performs one stage: calls its function, publishes its files, and returns the record of the attempt."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import sys
import time
import traceback
import urllib.error
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from derm_bench.attempts import new_record
from derm_bench.errors import Diverged, UserError, Waiting
from derm_bench.lazy import load_object
from derm_bench.plain_text import recorded
from derm_bench.plugins import Plugins
from derm_bench.stages.context import Checkpoints, Device, Ended, StageContext
from derm_bench.stages.runtime import prepare
from derm_bench.store import Store
from derm_bench.store.locks import stage_lock
from derm_bench.store.maintenance import problems
from derm_bench.training.health import DiscriminatorWatch
from derm_bench.worker.lookup import Lookup
from derm_bench.worker.pace import Pace
from derm_bench.worker.readonly import refuse_changes
from derm_bench.worker.source import SourceChanged, SourceCheck

Report = Callable[[Mapping[str, Any]], None]

FETCHING = ("huggingface_hub", "requests", "urllib3", "httpx", "safetensors")
"""Packages whose own exceptions mean that a file could not be fetched, or is damaged."""


def perform(
    job: Mapping[str, Any],
    device: str,
    plugins: Plugins,
    report: Report,
    source: SourceCheck | None = None,
) -> dict[str, Any]:
    """Runs a job and returns its record. Raises nothing but KeyboardInterrupt.

    The lock of the stage is held meanwhile. If another run holds it the status is `busy`, if another run has finished
    the stage it is `found`, and if the worker must be replaced because source that it has imported was edited it is
    `stale`; none of these is an attempt. source: what the worker knows of its source from earlier jobs.
    """
    store = Store(Path(job["store"]))
    source = source or SourceCheck()
    try:
        with stage_lock(store.root, job["key"]) as ours:
            if not ours:
                return {"status": "busy", "key": job["key"]}
            if store.has(job["key"]):
                return {"status": "found", "key": job["key"]}
            source.check(job, plugins)
            if source.is_stale(job):
                return {"status": "stale", "key": job["key"]}
            return _attempt(job, store, device, plugins, report, source)
    except (OSError, UserError) as error:
        # The lock file cannot be created, for example on a full disk, or source has changed or cannot be read.
        return new_record(job, device) | {"seconds": 0.0} | peak_memory(device) | failure_fields(error)


def _attempt(
    job: Mapping[str, Any],
    store: Store,
    device: str,
    plugins: Plugins,
    report: Report,
    source: SourceCheck,
) -> dict[str, Any]:
    record = new_record(job, device)
    began = time.perf_counter()
    reset_peak_memory(device)
    staged, pace = None, Pace(report, began)
    try:
        staged = store.stage(key=job["key"], attempt=record)
        with source.watching(job):
            result = _call(job, store, staged, device, plugins, pace)
        attempt = record | _spent(began, device) | pace.fields()
        store.publish(job["key"], staged, identity=job["identity"], result=result, attempt=attempt)
        store.forget_checkpoint(
            job["key"]
        )  # after publishing, because until then the stage may have to resume
        return attempt | {"status": "done"}
    except Exception as error:
        if staged is not None:
            store.discard(staged)
        fields = failure_fields(error)
        if not isinstance(error, UserError | Diverged | Waiting | MemoryError):
            fields |= _spoiled(store, job, fields)
        return record | _spent(began, device) | fields


def _spoiled(store: Store, job: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the record of a stage that failed because inputs of it are damaged, which are set aside to be made
    again by the next run; empty if the inputs are whole. Inputs are hashed here only, after a failure."""
    found = []
    for name, key in job["identity"]["inputs"].items():
        wrong = problems(store.folder(key))
        if wrong:
            found.append(f"{name} ({wrong[0]})")
            with contextlib.suppress(OSError):
                store.set_aside(key, "; ".join(wrong))
    if not found:
        return {}
    message = f"inputs are damaged: {', '.join(found)}; start the run again, which makes them again"
    return {"status": "failed", "retry": True, "error": {**fields["error"], "message": message}}


def _call(
    job: Mapping[str, Any], store: Store, staged: Path, device: str, plugins: Plugins, report: Report
) -> Mapping[str, Any]:
    prepare(device, job["threads"], job["precision"])
    identity = job["identity"]
    inputs = {name: store.folder(key) for name, key in identity["inputs"].items()}
    optional = {
        name: Ended(
            how["status"], how["error"], store.folder(how["key"]) if how["status"] == "done" else None
        )
        for name, how in job["optional"].items()
    }
    context = StageContext(
        params=load_object(job["params"])(**identity["params"]),
        local=job["local"],
        inputs=inputs,
        out=staged,
        data=store.root / "data",
        machine=Device(device, job["precision"], job["threads"]),
        plugins=Lookup(plugins),
        optional=optional,
        report=report,
        checkpoints=Checkpoints(store.checkpoint(job["key"])),
        watch=DiscriminatorWatch,
    )
    with refuse_changes(store.root, inputs.values()):
        return load_object(job["function"])(context)


def failure_fields(error: BaseException) -> dict[str, Any]:
    """The fields of a record for an exception: status, error message and traceback."""
    status = "failed"
    if isinstance(error, Waiting):
        status = "waiting"
    elif isinstance(error, Diverged):
        status = "diverged"
    elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        status = "oom"
    message = _said(error) or type(error).__name__
    full = _is_disk_full(error, message)
    if full:
        message = f"no space left on the disk: {message}"
    elif not isinstance(error, UserError | Diverged | Waiting):
        message = f"{type(error).__name__}: {message}"
    trace = "".join(traceback.format_exception(error))
    return {
        "status": status,
        "retry": full or isinstance(error, SourceChanged) or _is_not_to_be_had(error),
        "curve": list(getattr(error, "curve", None) or ()),
        "error": {
            "type": type(error).__name__,
            "message": recorded(message),
            "traceback": recorded(trace[-20_000:], 20_000),
        },
    }


def _said(error: BaseException) -> str:
    """The text of an exception; empty if it cannot state it."""
    with contextlib.suppress(Exception):
        return str(error)
    return ""


def _is_disk_full(error: BaseException, message: str) -> bool:
    """Whether the disk is full. numpy and safetensors report it in the message only, without an errno."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(words in message.lower() for words in ("no space left on device", "not enough free space"))


def _is_not_to_be_had(error: BaseException) -> bool:
    """Whether a stage failed because something was not to be had, such as published weights without a network or from a
    damaged cache. No key covers these, so that the next run has to try again."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        if isinstance(cause, urllib.error.URLError | socket.gaierror):
            return True
        if type(cause).__module__.partition(".")[0] in FETCHING:
            return True
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return False


def reset_peak_memory(device: str) -> None:
    """Resets the peaks of memory, because a worker runs several stages."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    torch = sys.modules.get("torch")
    if torch is not None and device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: str) -> dict[str, float]:
    """Peak resident and device memory in MB since `reset_peak_memory`."""
    peaks = {"peak_memory_mb": _resident_peak(), "peak_device_mb": 0.0}
    torch = sys.modules.get("torch")
    if torch is not None and device.startswith("cuda"):
        peaks["peak_device_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return peaks


def _resident_peak() -> float:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    # Outside Linux the peak is that of the whole process, in bytes on macOS and in kB on other systems.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 1024), 1)


def _spent(began: float, device: str) -> dict[str, Any]:
    return {"seconds": round(time.perf_counter() - began, 4)} | peak_memory(device)
