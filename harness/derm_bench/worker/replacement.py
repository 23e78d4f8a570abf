"""Decides when a worker must be replaced: after a failure, or when a stage has left threads or memory behind."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import threading
from collections.abc import Mapping
from typing import Any

from derm_bench.memory import resident_mb

# Resident memory, and device memory, that stages may leave behind in a worker in total.
MARGIN_MB = 768.0
GOOD = ("done", "busy", "found")


class ReplacementCheck:
    """Compares a worker with the state in which it was created."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.threads = threading.active_count()
        self.resident = resident_mb()

    def reason(self, record: Mapping[str, Any]) -> str:
        """The reason to replace the worker after the stage of `record`; empty if there is none."""
        if record["status"] not in GOOD:
            return f"its stage ended as {record['status']}"
        left = threading.active_count() - self.threads
        if left > 0:
            return f"the stage left {left} threads"
        if self._resident_growth() > MARGIN_MB:
            return f"the stage left more than {MARGIN_MB:.0f} MB of resident memory"
        if device_mb(self.device) > MARGIN_MB:
            return f"the stage left more than {MARGIN_MB:.0f} MB of device memory"
        return ""

    def _resident_growth(self) -> float:
        """Growth of resident memory in MB. Free memory is returned to the system first if the growth exceeds the
        margin."""
        growth = resident_mb() - self.resident
        if growth > MARGIN_MB:
            gc.collect()
            with contextlib.suppress(OSError, AttributeError):
                ctypes.CDLL(None).malloc_trim(0)
            growth = resident_mb() - self.resident
        return growth


def device_mb(device: str) -> float:
    """Device memory of live tensors in MB, after cached memory has been released."""
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda"):
        return 0.0
    gc.collect()
    torch.cuda.empty_cache()
    return float(torch.cuda.memory_allocated()) / 2**20
