"""Resident memory of processes."""

from __future__ import annotations

import os
from pathlib import Path


def resident_mb(pid: int | str = "self") -> float:
    """The resident memory of a process in MB; 0 if the system does not provide it."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
