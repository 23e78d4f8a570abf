"""Atomic writes of files, and flushing to disk, so that files survive a crash of the machine."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path


def reason(error: OSError) -> str:
    """The message of the system, without the errno."""
    return (error.strerror or str(error)).lower()


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file completely or not at all: to a temporary file beside it, which is then renamed."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:  # for example on a full disk
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def flush(folder: Path) -> None:
    """Flushes a folder and all files and folders in it to disk."""
    paths = [path for path in folder.rglob("*") if not path.is_symlink()]
    for path in paths:
        if path.is_file():
            _fsync(path)
    flush_folders(*(path for path in reversed(paths) if path.is_dir()), folder)


def flush_folders(*folders: Path) -> None:
    """Flushes the entries of folders (new names, renames) to disk."""
    for folder in folders:
        _fsync(folder)


def _fsync(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # another process may have removed or published it meanwhile
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
