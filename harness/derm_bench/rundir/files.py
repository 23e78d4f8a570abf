"""Reads and writes the files of a run directory without following links: a directory may be anybody's."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from derm_bench.errors import UserError

FOLDERS = ("samples", "splits", "figures")
MANIFEST_BYTES = 64 * 2**20
TABLE_BYTES = 2 * 2**30
ENTRIES = 100_000
"""The most files in one folder of a run directory."""
DEPTH = 40
"""How deeply the maps and lists of a JSON file may be nested."""


def check_directory(folder: Path, names: Iterable[str]) -> None:
    """Raises UserError where a run directory holds a link or a special file in the place of one of its own files
    (`names`, what is half written, and all of `FOLDERS`). Other files are nobody's business and stay untouched."""
    known = set(names)
    for entry in _entries(folder):
        if entry.name in FOLDERS:
            if entry.is_symlink() or not entry.is_dir(follow_symlinks=False):
                raise _refused(Path(entry.path), "is no folder of this run directory")
            for inner in _entries(Path(entry.path)):
                if not inner.is_file(follow_symlinks=False):
                    raise _refused(Path(inner.path), "is no ordinary file")
        elif (entry.name in known or entry.name.startswith(".")) and not entry.is_file(follow_symlinks=False):
            raise _refused(Path(entry.path), "is no ordinary file")


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= ENTRIES:
                raise UserError(f"holds more than {ENTRIES} files", file=folder)
            yield entry


def _refused(path: Path, why: str) -> UserError:
    return UserError(f"{why} (a link is not followed)", file=path, hint="remove it, or leave it out")


def read_bytes(path: Path, limit: int) -> bytes:
    """The bytes of an ordinary file. Raises UserError for a link, a special file, or one of more than `limit` bytes,
    and FileNotFoundError where there is none."""
    with opened(path, limit) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(limit + 1)[:limit]


@contextlib.contextmanager
def opened(path: Path, limit: int) -> Iterator[int]:
    """A descriptor of an ordinary file for reading, checked as `read_bytes` does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            raise _refused(path, "is a link") from error
        raise UserError(f"cannot be read: {(error.strerror or str(error)).lower()}", file=path) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _refused(path, "is no ordinary file")
        if status.st_size > limit:
            raise UserError(f"has {status.st_size:,} bytes, more than the {limit:,} that are read", file=path)
        yield descriptor
    finally:
        os.close(descriptor)


def read_json(path: Path, limit: int = MANIFEST_BYTES) -> Any:
    """The content of a JSON file. Raises UserError for what `read_bytes` refuses, for what is no JSON, and for maps
    and lists that are nested too deeply."""
    content = read_bytes(path, limit)
    try:
        value = json.loads(content)
    except RecursionError:
        raise UserError(f"is nested more than {DEPTH} levels deep", file=path) from None
    except ValueError as error:
        raise UserError(f"not valid JSON: {error}", file=path) from error
    layer: list[Any] = [value]
    for _ in range(DEPTH):
        layer = [
            inner
            for outer in layer
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not layer:
            return value
    raise UserError(f"is nested more than {DEPTH} levels deep", file=path)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file beside `path` to write into, which takes its place once it is whole. Raises UserError where that is
    impossible, or where `path` is a link or no file."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise _refused(path, "is no ordinary file")
        # Made by this call or not at all: a link that somebody put there is not written through.
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
        yield partial
        partial.replace(path)
    except OSError as error:
        raise UserError(f"cannot write it: {error.strerror}", file=path) from error
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(content: bytes, path: Path) -> None:
    """Writes a file, whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def write_text(content: str, path: Path) -> None:
    """Writes a text file (UTF-8), whole or not at all."""
    write_bytes(content.encode(), path)


def write_json(value: Any, path: Path) -> None:
    """Writes a JSON file, whole or not at all."""
    write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", path)


def emptied(folder: Path) -> Path:
    """An empty folder in the place of `folder` and all it held. Raises UserError where that is a link or a file."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise _refused(folder, "is no folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)
    return folder


def digests(folder: Path, left_out: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the files of a run directory by their names in it, in order, but for `left_out` and what is half
    written."""
    skipped = set(left_out)
    paths = [path for path in folder.iterdir() if path.name not in skipped and not path.name.startswith(".")]
    paths += [path for name in FOLDERS if name not in skipped and (folder / name).is_dir()
              for path in (folder / name).iterdir()]  # fmt: skip
    found = {}
    for path in sorted(paths):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as handle:
                found[path.relative_to(folder).as_posix()] = hashlib.file_digest(handle, "sha256").hexdigest()
    return found
