"""Rows of arrays in an .npz file that is not trusted: no pickle, sizes checked in the headers, bounded memory.

An array that is stored without compression is mapped into memory. One that is compressed is read forward, in the order
of the rows, and again from its start only for a row that is long past.
"""

from __future__ import annotations

import threading
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from derm_bench.errors import UserError
from derm_bench.regular_files import open_regular

MAX_BYTES = 8 * 2**30
"""The largest number of bytes of all arrays in a file, uncompressed."""
KEPT_BYTES = 128 * 2**20
"""The bytes of rows that are kept because they were passed over."""
_LOCAL_HEADER = 30


class Npz:
    """The arrays of an .npz file by name. Raises UserError if it is none, or is too large."""

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            content = open_regular(file)
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror or error}", file=file) from error
        try:
            self._archive = zipfile.ZipFile(content)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            content.close()
            raise UserError(f"is not a valid .npz file: {error}", file=file) from error
        members = {info.filename.removesuffix(".npy"): info for info in self._archive.infolist()}
        if sum(info.file_size for info in members.values()) > MAX_BYTES:
            raise UserError(f"has arrays of more than {MAX_BYTES // 2**30} GiB", file=file)
        self._members = members

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def array(self, name: str) -> Rows:
        """Return the rows of an array. Raises UserError if it does not exist, or is none of integers."""
        if name not in self._members:
            raise UserError(f"has no array '{name}'; it has {', '.join(self._members)[:200]}", file=self.file)
        return Rows(self.file, self._archive, self._members[name])


class Rows:
    """An array of integers, by row. It may be read from several threads at once."""

    def __init__(self, file: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        self.file, self._archive, self._member = file, archive, member
        self._lock = threading.Lock()
        self._stream: IO[bytes] | None = None
        self._next = 0
        self._passed: OrderedDict[int, np.ndarray] = OrderedDict()
        with self._open() as stream:
            self.shape, self.dtype, self._start = self._header(stream)
        self._row_bytes = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        expected = self._start + self.shape[0] * self._row_bytes
        if expected != member.file_size or self._row_bytes == 0:
            raise self._broken(f"it states {expected:,} bytes and has {member.file_size:,}")

    def take(self, rows: Sequence[int]) -> list[np.ndarray]:
        """Return the rows with these numbers, in this order. Raises UserError for damaged data."""
        if self._member.compress_type == zipfile.ZIP_STORED:
            mapped = self._mapped()
            return [np.array(mapped[row]) for row in rows]
        with self._lock:
            found = {row: self._read(row) for row in sorted(set(rows))}
        return [found[row] for row in rows]

    def whole(self) -> np.ndarray:
        """Return the whole array, which should be small."""
        return (
            np.stack(self.take(range(self.shape[0]))) if self.shape[0] else np.empty(self.shape, self.dtype)
        )

    def _open(self) -> IO[bytes]:
        try:
            return self._archive.open(self._member)
        except (
            OSError,
            RuntimeError,
            NotImplementedError,
            zipfile.BadZipFile,
        ) as error:  # encrypted, unknown method
            raise self._broken(str(error)) from error

    def _header(self, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype, int]:
        try:
            version = np.lib.format.read_magic(stream)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, fortran, dtype = read[version](stream)
            start = stream.tell()
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise self._broken(f"its header cannot be read ({error})") from error
        if dtype.kind not in "iu" or fortran or not shape:
            raise self._broken(f"it must have integers in rows, not {dtype}")
        return shape, dtype, start

    def _read(self, row: int) -> np.ndarray:
        if row in self._passed:
            return self._passed.pop(row)
        if self._stream is None or row < self._next:
            self._stream, self._next = self._open(), 0
            self._exactly(self._start)
        while self._next < row:
            passed = self._next
            self._passed[passed] = self._row()
            if len(self._passed) * self._row_bytes > KEPT_BYTES:
                self._passed.popitem(last=False)
        return self._row()

    def _row(self) -> np.ndarray:
        data = self._exactly(self._row_bytes)
        self._next += 1
        return np.frombuffer(data, self.dtype).reshape(self.shape[1:])

    def _exactly(self, count: int) -> bytes:
        assert self._stream is not None
        try:
            data = self._stream.read(count)
        except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise self._broken(str(error)) from error
        if len(data) != count:
            raise self._broken("it ends too early")
        return data

    def _mapped(self) -> np.ndarray:
        with open_regular(self.file) as file:
            file.seek(self._member.header_offset + 26)
            lengths = file.read(4)
        offset = self._member.header_offset + _LOCAL_HEADER + self._start
        offset += int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        return np.memmap(self.file, self.dtype, "r", offset, self.shape)

    def _broken(self, why: str) -> UserError:
        return UserError(f"the array {self._member.filename} is damaged: {why}", file=self.file)
