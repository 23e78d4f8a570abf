"""Published files are read-only for whoever runs a worker, and a change to a stage's inputs does not go unnoticed.

No sandbox: code that takes pains (chmod, another process) still gets through; `store verify` finds what it changed.
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


def heed_read_only(store: Path) -> None:
    """Gives up root's leave to write read-only files, as which root in a container would overwrite the store.

    Only where root owns the store: elsewhere root needs that leave to write into it at all. Reading stays free.
    """
    if sys.platform != "linux" or os.geteuid() != 0 or store.stat().st_uid != 0:
        return
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # effective, permitted and inheritable, of capabilities 0-31 and then 32-63
    sets = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None)
    if libc.capget(header, sets) == 0:
        sets[0] &= ~(1 << _CAP_DAC_OVERRIDE)
        sets[1] &= ~(1 << _CAP_DAC_OVERRIDE)
        libc.capset(header, sets)


@contextlib.contextmanager
def untouched(store: Path, folders: Iterable[Path]) -> Iterator[None]:
    """Raises UserError, whatever else was raised, where a file of these folders is not what it was before."""
    folders = list(folders)
    before = _stamps(folders)
    try:
        yield
    except Exception:
        _compare(store, before, _stamps(folders))
        raise
    _compare(store, before, _stamps(folders))


def _stamps(folders: Iterable[Path]) -> dict[Path, Stamp]:
    """Size, inode and time of change of every file; no program can set the last back."""
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
