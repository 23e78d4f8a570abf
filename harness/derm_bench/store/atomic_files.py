"""Files written whole or not at all, and flushed so that they outlive the machine's fall."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path


def reason(error: OSError) -> str:
    """What the system said, without the errno."""
    return (error.strerror or str(error)).lower()


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file beside its place, then renames it."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.write_bytes(content)
    temporary.replace(path)


def flush(folder: Path) -> None:
    """Flushes all files and folders below a folder to the disk, and itself."""
    paths = [path for path in folder.rglob("*") if not path.is_symlink()]
    for path in paths:
        if path.is_file():
            _fsync(path)
    flush_folders(*(path for path in reversed(paths) if path.is_dir()), folder)


def flush_folders(*folders: Path) -> None:
    """Flushes the entries of folders (names, renames) to the disk."""
    for folder in folders:
        _fsync(folder)


def _fsync(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # another process may clean or publish meanwhile
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
