"""Checks whether a recorded process is still running, by pid, start time, boot and host, so that reused pids are
detected."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def identify(pid: int | None = None) -> dict[str, Any]:
    """JSON that identifies a process, by default this one."""
    number = os.getpid() if pid is None else pid
    return {
        "pid": number,
        "start_ticks": (_stat(number) or (None, None))[1],
        "host": platform.node(),
        **_machine(),
    }


def is_running(process: Mapping[str, Any]) -> bool | None:
    """Whether a process from `identify` is running; None if that is unknown, for a process of another host or
    container, and for a damaged note."""
    here = _machine()
    if process.get("host") != platform.node() or not isinstance(process.get("pid"), int):
        return None
    if process.get("boot") != here["boot"]:
        return False
    if process.get("namespace") != here["namespace"]:
        return None
    found = _stat(process["pid"])
    if found is None:
        return _answers(process["pid"]) if here["boot"] is None else False
    state, start_ticks = found
    return state not in "ZX" and start_ticks == process.get("start_ticks")


@functools.cache
def _machine() -> dict[str, str | None]:
    """Boot and pid namespace of this machine; None without /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return {"boot": boot, "namespace": str(Path("/proc/self/ns/pid").readlink())}
    except OSError:
        return {"boot": None, "namespace": None}


def _stat(pid: int) -> tuple[str, int] | None:
    """State and start time (clock ticks since boot) of a process; None if it does not exist, and without /proc."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may contain spaces
    return fields[0], int(fields[19])


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
