"""Records of attempts at stages."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

Status = Literal["done", "failed", "timeout", "oom", "diverged", "interrupted", "waiting"]
"""The outcome of an attempt. `waiting` means that the stage needs a person; its error is the instruction."""

FAILURES = ("failed", "timeout", "oom", "diverged")

RUN_ENDED = "the run was interrupted"
"""The error of a stage that was stopped because its run was ended, by Ctrl-C or another signal."""


def new_record(job: Mapping[str, Any], device: str) -> dict[str, Any]:
    """The fields of a record that are known before the stage runs."""
    return {
        "attempt": job["attempt"],
        "key": job["key"],
        "kind": job["kind"],
        "title": job["title"],
        "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "device": device,
        "host": platform.node(),
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "pid": os.getpid(),
        "error": None,
        "log_tail": "",
    }
