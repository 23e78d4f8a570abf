"""Read and write the files of a run directory without following links, since the directory may be untrusted."""

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
from typing import Any, BinaryIO

from derm_bench.errors import UserError

FOLDERS = ("samples", "splits", "audit", "figures")
MANIFEST_BYTES = 64 * 2**20
TABLE_BYTES = 2 * 2**30
ENTRIES = 100_000
"""The maximum number of files in one folder of a run directory."""
DEPTH = 40
"""The maximum nesting depth of the maps and lists of a JSON file."""


def check_directory(folder: Path, names: Iterable[str]) -> None:
    """Raise UserError if a link or a special file is in the place of a file that the run directory owns.

    These are `names`, partially written files and everything in `FOLDERS`. Other files are ignored.
    """
    known = set(names)
    for entry in _entries(folder):
        if entry.name in FOLDERS:
            if entry.is_symlink() or not entry.is_dir(follow_symlinks=False):
                raise _refused(Path(entry.path), "is not a folder")
            for inner in _entries(Path(entry.path)):
                if not inner.is_file(follow_symlinks=False):
                    raise _refused(Path(inner.path), "is not a regular file")
        elif (entry.name in known or entry.name.startswith(".")) and not entry.is_file(follow_symlinks=False):
            raise _refused(Path(entry.path), "is not a regular file")


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= ENTRIES:
                raise UserError(f"contains more than {ENTRIES} files", file=folder)
            yield entry


def _refused(path: Path, why: str) -> UserError:
    return UserError(f"{why} (links are not followed)", file=path, hint="remove it from the directory")


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file. Raises UserError for a link, a special file or a file of more than `limit`
    bytes, and FileNotFoundError if the file does not exist."""
    with opened(path, limit) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(limit + 1)[:limit]


@contextlib.contextmanager
def opened(path: Path, limit: int) -> Iterator[int]:
    """Open a regular file for reading, with the same checks as `read_bytes`. Yields the file descriptor."""
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
            raise _refused(path, "is not a regular file")
        if status.st_size > limit:
            raise UserError(f"has {status.st_size:,} bytes, more than the limit of {limit:,}", file=path)
        yield descriptor
    finally:
        os.close(descriptor)


def read_json(path: Path, limit: int = MANIFEST_BYTES) -> Any:
    """Return the content of a JSON file. Raises UserError as `read_bytes` does, for invalid JSON, and for maps and
    lists that are nested more than `DEPTH` levels deep."""
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
    """Yield a new file next to `path`, which replaces `path` when the block ends. Raises UserError if this is
    impossible, or if `path` is a link or not a file."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise _refused(path, "is not a regular file")
        # O_EXCL: never write through a link that already exists under this name.
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666))
        yield partial
        partial.replace(path)
    except OSError as error:
        raise UserError(f"cannot be written: {error.strerror}", file=path) from error
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file atomically."""
    with replacing(path) as partial, overwriting(partial) as file:
        file.write(content)


def copy(source: Path, target: Path) -> None:
    """Copy a file atomically. Raises UserError as `replacing` does."""
    with replacing(target) as partial, source.open("rb") as file, overwriting(partial) as copied:
        shutil.copyfileobj(file, copied)


def overwriting(path: Path) -> BinaryIO:
    """Open an existing file for writing. Raises OSError if it has become a link."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC), "wb")


def write_text(content: str, path: Path) -> None:
    """Write a text file atomically, as `text_bytes` encodes it."""
    write_bytes(text_bytes(content), path)


def text_bytes(content: str) -> bytes:
    """A text in UTF-8. Lone surrogates, which UTF-8 does not have, are written as `\\udcff`, which JSON reads as the
    same character."""
    return content.encode(errors="backslashreplace")


def write_json(value: Any, path: Path) -> None:
    """Write a JSON file atomically."""
    write_bytes(json_bytes(value), path)


def json_bytes(value: Any) -> bytes:
    """The content of a JSON file as `write_json` writes it."""
    return text_bytes(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def emptied(folder: Path) -> Path:
    """Delete `folder` with its contents and create it again, empty. Raises UserError if it is a link or a file, or if
    something in it cannot be deleted."""
    return _replaced(folder, again=True)


def removed(folder: Path) -> None:
    """Delete `folder` with its contents, if it exists. Raises UserError as `emptied` does."""
    _replaced(folder, again=False)


def _replaced(folder: Path, *, again: bool) -> Path:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise _refused(folder, "is not a folder")
    try:
        if folder.exists():
            shutil.rmtree(folder)
        if again:
            folder.mkdir()
    except OSError as error:
        place = Path(error.filename or folder)
        raise UserError(
            f"cannot be replaced: {(error.strerror or str(error)).lower()}", file=place
        ) from error
    return folder


def digests(folder: Path, left_out: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of each file of a run directory by its relative path, sorted, without the files and folders in
    `left_out` and without partially written files."""
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
