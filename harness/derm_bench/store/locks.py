"""One lock a stage: several runs may use a store at once, and each stage is still executed once.

The operating system frees a lock when the process that holds it dies, so none is ever left behind. (On one host;
shared file systems are another matter.)
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
    """Holds the lock of a stage, if nobody else does: yields whether it is ours."""
    folder = store / FOLDER
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / key, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Exclusive and without waiting. The file stays: removing it would let two runs lock two files of one name."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
