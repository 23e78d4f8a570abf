"""Keeps published files read-only for workers, and detects changes to the inputs of a stage.

This is not a sandbox: code can still change files on purpose (chmod, another process). `store verify` finds that.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from derm_bench.errors import UserError

_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1

Stamp = tuple[int, int, int]


def drop_write_override(store: Path) -> None:
    """Drops the capability of root to write read-only files, with which a worker in a container could overwrite the
    store.

    It is kept if another user owns the store, because root then needs it to write there. Reading is not affected.
    """
    if sys.platform != "linux" or os.geteuid() != 0 or store.stat().st_uid != 0:
        return
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # Effective, permitted and inheritable sets of the capabilities 0-31, then of 32-63.
    sets = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None)
    if libc.capget(header, sets) == 0:
        sets[0] &= ~(1 << _CAP_DAC_OVERRIDE)
        sets[1] &= ~(1 << _CAP_DAC_OVERRIDE)
        libc.capset(header, sets)


@contextlib.contextmanager
def refuse_changes(store: Path, folders: Iterable[Path]) -> Iterator[None]:
    """Context manager that raises UserError, instead of any other error, if a file in `folders` has changed."""
    folders = list(folders)
    before = _stamps(folders)
    try:
        yield
    except Exception:
        _compare(store, before, _stamps(folders))
        raise
    _compare(store, before, _stamps(folders))


def _stamps(folders: Iterable[Path]) -> dict[Path, Stamp]:
    """Size, inode and change time of every file. A program cannot set the change time back."""
    found = {}
    for path in (path for folder in folders for path in folder.rglob("*")):
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            found[path] = (status.st_size, status.st_ino, status.st_ctime_ns)
    return found


def _compare(store: Path, before: Mapping[Path, Stamp], after: Mapping[Path, Stamp]) -> None:
    touched = sorted(path for path, stamp in before.items() if after.get(path) != stamp)
    if touched:
        names = ", ".join(path.relative_to(store).as_posix() for path in touched[:3])
        raise UserError(
            f"published files were changed while it ran: {names} (`derm-bench store verify` sets them aside)"
        )
