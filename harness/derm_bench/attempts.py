"""Attempts at stages: the record that each one leaves, whoever writes it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

Status = Literal["done", "failed", "timeout", "oom", "diverged", "interrupted", "waiting"]
"""How an attempt has ended; `waiting`: the stage needs a person, and its error says what to do."""

FAILURES = ("failed", "timeout", "oom", "diverged")


def new_record(job: Mapping[str, Any], device: str) -> dict[str, Any]:
    """The part of a record that is known before the stage runs."""
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
