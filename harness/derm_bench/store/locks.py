"""Locks of stages, so that several runs can use a store at once and each stage is executed only once.

The operating system releases a lock when the process that holds it dies, so no lock is left behind. This holds on one
host, not on file systems that several hosts share.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

FOLDER = "locks"


@contextlib.contextmanager
def stage_lock(store: Path, key: str) -> Iterator[bool]:
    """Context manager that tries to lock a stage. Yields False if another process holds the lock."""
    folder = store / FOLDER
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / key, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Locks without waiting. The file is never removed, since two runs could then lock two files of the same name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
