"""Content digests of many files, cached by path, inode, size, modification time and change time to keep planning fast,
and a cache of small texts.

The cache has a row per file, and a row per set of files that were asked for together: if no file of a set has changed,
its digests are read at once, in a tenth of the time.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import sqlite3
import stat
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

import platformdirs

UNREADABLE = "unreadable"

# A file changed more recently may change again within one tick of the clock and keep its times, so it is not cached.
SETTLED_SECONDS = 2.0

# Number of files that one task of the pool hashes, the seconds per file from which there is a pool, and the size in
# bytes up to which a file is read whole.
_AT_ONCE = 128
_SLOW_SECONDS = 4e-5
_WHOLE_BYTES = 2**22
# Sets with at least so many files have a row of their own, and so many sets are kept.
_SET, _SETS = 256, 32
_DIGEST_BYTES = 32

_T = TypeVar("_T")
# Mode, device, inode, size, modification time and change time of a file.
_Status = tuple[int, int, int, int, int, int]
_STATUS: Callable[[os.stat_result], _Status] = attrgetter(
    "st_mode", "st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns"
)
# Inode, size, modification time and change time. A program can set the modification time of a file, but not its change
# time.
_Stamp = tuple[int, int, int, int]
_Row = tuple[str, int, int, int, int, str]


def cache_folder() -> Path:
    """The folder `$DERM_BENCH_CACHE`, or else the folder of derm-bench in the user's cache folder."""
    return Path(os.environ.get("DERM_BENCH_CACHE") or platformdirs.user_cache_path("derm-bench"))


def file_digests(paths: Mapping[str, Path | str], largest: int | None = None) -> dict[str, str]:
    """SHA-256 (hexadecimal) of the content of each file, by the id given in `paths`.

    A file that cannot be read, is not a regular file, or has more than `largest` bytes has the digest `unreadable`; the
    run lists it later.
    A broken cache is rebuilt; without a writable folder every file is hashed each time.
    """
    if not paths:
        return {}
    places = _absolute(list(map(str, paths.values())))
    distinct = list(dict.fromkeys(places))
    files = _statuses(distinct)
    whole = _Set.of(distinct, files, largest)
    found = whole and _cached(whole.recall)
    if not found:
        found = _one_by_one(distinct, files, largest)
        if whole and whole.settled():
            _cached(lambda database: whole.remember(database, found))
    if len(distinct) == len(places):
        return dict(zip(paths, found, strict=True))
    digest_of = dict(zip(distinct, found, strict=True))
    return {name: digest_of[place] for name, place in zip(paths, places, strict=True)}


def _one_by_one(places: Sequence[str], files: Sequence[_Status | None], largest: int | None) -> list[str]:
    """The digest of each file, from its row or from its content, which is read once for all names of one file."""
    stamps = {place: _stamp(file) if file else None for place, file in zip(places, files, strict=True)}
    storable = [place for place in stamps if _is_text(place)]
    known = _cached(lambda database: _look_up(database, storable, stamps)) or {}
    if largest is not None:
        known |= {place: UNREADABLE for place, stamp in stamps.items() if stamp and stamp[1] > largest}
    same = {place: file for place, file in zip(places, files, strict=True) if place not in known}
    if same:
        once = {file: place for place, file in same.items() if file is not None}
        digests = dict(zip(once, _digests(list(once.values())), strict=True))
        fresh = {place: digests[file] if file else UNREADABLE for place, file in same.items()}
        known |= fresh
        rows = list(_settled(fresh, stamps))
        if rows:
            _cached(lambda database: _remember(database, rows))
    return [known[place] for place in places]


class _Set:
    """Files that were asked for together, none of which is unreadable for its kind or size: a digest of their paths in
    their order, and their stamps, as one array for each of the four numbers."""

    def __init__(self, places: Sequence[str], stamps: Sequence[array[int]]) -> None:
        self.name = hashlib.sha256(os.fsencode("\0".join(places))).hexdigest()
        self.stamps = stamps

    @classmethod
    def of(cls, places: Sequence[str], files: Sequence[_Status | None], largest: int | None) -> _Set | None:
        """The set, unless a file is unreadable or there are so few that it has no row."""
        if len(places) < _SET or None in files:
            return None
        _, _, inodes, *others = zip(*files, strict=True)
        try:
            stamps = [array("Q", inodes), *(array("q", column) for column in others)]
        except OverflowError:  # a time in another century
            return None
        if largest is not None and max(stamps[1]) > largest:
            return None
        return cls(places, stamps)

    def settled(self) -> bool:
        return max(map(max, self.stamps[2:])) < (time.time() - SETTLED_SECONDS) * 1e9

    def recall(self, database: sqlite3.Connection) -> list[str] | None:
        """The digests in their order, if no file has changed since."""
        row = database.execute('SELECT "check", digests FROM sets WHERE name = ?', (self.name,)).fetchone()
        if row is None or not isinstance(row[1], bytes) or row[0] != self._check(row[1]):
            return None
        digits, length = row[1].hex(), 2 * _DIGEST_BYTES
        return [digits[start : start + length] for start in range(0, len(digits), length)]

    def remember(self, database: sqlite3.Connection, digests: Sequence[str]) -> None:
        if UNREADABLE in digests:
            return
        joined = bytes.fromhex("".join(digests))
        with database:
            database.execute(
                "INSERT OR REPLACE INTO sets VALUES (?, ?, ?)", (self.name, self._check(joined), joined)
            )
            database.execute("DELETE FROM sets WHERE rowid <= (SELECT max(rowid) FROM sets) - ?", (_SETS,))

    def _check(self, digests: bytes) -> str:
        """A digest of the stamps and the digests: those of other stamps, or broken ones, are not believed."""
        check = hashlib.sha256()
        for column in self.stamps:
            check.update(column)
        check.update(digests)
        return check.hexdigest()


def _is_text(place: str) -> bool:
    """Whether the cache can hold a path: one in bytes that are not UTF-8 has lone surrogates."""
    return place.isascii() or not any("\ud800" <= char <= "\udfff" for char in place)


def _absolute(paths: list[str]) -> list[str]:
    """The paths from the root, without `.` and `..`. Most have neither, which is found out of all together."""
    together = "\0".join(paths) + "\0"
    plain = together.startswith(os.sep) and together.count("\0/") == len(paths) - 1
    if plain and not any(odd in together for odd in ("/.", "//", "/\0")):
        return paths
    return list(map(os.path.abspath, paths))


def _statuses(places: Sequence[str]) -> list[_Status | None]:
    """The status of each regular file, None for others."""
    found: list[_Status | None]
    try:
        found = list(map(_STATUS, map(os.stat, places)))  # no loop in Python, for hundreds of thousands
    except (OSError, ValueError):
        found = list(map(_status, places))
    return [file if file and stat.S_ISREG(file[0]) else None for file in found]


def _status(place: str) -> _Status | None:
    try:
        return _STATUS(os.stat(place))  # noqa: PTH116
    except (OSError, ValueError):  # ValueError: a path with NUL
        return None


def _stamp(status: _Status) -> _Stamp:
    _, _, inode, size, changed, moved = status
    signed = inode if inode < 2**63 else inode - 2**64  # as the integers of SQLite are
    return signed, size, changed, moved


def _digests(places: Sequence[str]) -> list[str]:
    """The digests of the contents, on one thread until a part of the files takes long: threads that open small files
    which are in memory mostly wait for Python's lock, and take longer than one thread."""
    found: list[str] = []
    for part in _chunks(places, _AT_ONCE):
        began = time.perf_counter()
        found += map(_digest, part)
        if time.perf_counter() - began > _SLOW_SECONDS * len(part):
            break
    rest = places[len(found) :]
    if rest:
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            # Each task gets many files: starting a task takes nearly as long as hashing a file.
            parts = pool.map(lambda some: list(map(_digest, some)), _chunks(rest, _AT_ONCE))
            found += itertools.chain.from_iterable(parts)
    return found


def _digest(place: str) -> str:
    try:
        # Opening a pipe would wait for its other end, and reading a device would not end.
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return UNREADABLE
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return UNREADABLE
        if status.st_size < _WHOLE_BYTES:
            content = os.read(descriptor, status.st_size + 1)
            if len(content) == status.st_size:  # a read may be cut short
                return hashlib.sha256(content).hexdigest()
            os.lseek(descriptor, 0, os.SEEK_SET)
        with open(descriptor, "rb", closefd=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return UNREADABLE
    finally:
        os.close(descriptor)


def _settled(fresh: Mapping[str, str], stamps: Mapping[str, _Stamp | None]) -> Iterator[_Row]:
    latest = (time.time() - SETTLED_SECONDS) * 1e9
    for place, digest in sorted(fresh.items()):  # the table is in this order
        stamp = stamps[place]
        settled = stamp is not None and max(stamp[2:]) < latest
        if stamp is not None and settled and digest != UNREADABLE and _is_text(place):
            yield (place, *stamp, digest)


# ------------------------------------------------------------------------------------- the cache


def recall(name: str) -> str | None:
    """The cached text with this name, which is a digest of its inputs; None if there is none."""
    row = _cached(
        lambda database: database.execute("SELECT text FROM texts WHERE name = ?", (name,)).fetchone()
    )
    return row[0] if row and isinstance(row[0], str) else None


def remember(name: str, text: str) -> None:
    """Caches a text for `recall`, if the cache is writable."""

    def write(database: sqlite3.Connection) -> None:
        with database:
            database.execute("INSERT OR REPLACE INTO texts VALUES (?, ?)", (name, text))

    _cached(write)


def _cached(work: Callable[[sqlite3.Connection], _T]) -> _T | None:
    """Calls `work` with the open cache and returns its result; None if there is no usable cache. Replaces a broken
    file."""
    file = cache_folder() / "digests-3.sqlite"
    for _ in range(2):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(file, timeout=5.0)) as database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS digests"
                    " (place TEXT PRIMARY KEY, inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,"
                    " sha256 TEXT) WITHOUT ROWID"
                )
                database.execute(
                    "CREATE TABLE IF NOT EXISTS texts (name TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID"
                )
                database.execute(
                    'CREATE TABLE IF NOT EXISTS sets (name TEXT PRIMARY KEY, "check" TEXT, digests BLOB)'
                )
                return work(database)
        except sqlite3.OperationalError:  # locked, read-only or full: not a broken file
            return None
        except sqlite3.DatabaseError:
            with contextlib.suppress(OSError):
                file.unlink()
        except OSError:
            return None
    return None


def _look_up(
    database: sqlite3.Connection, places: Iterable[str], stamps: Mapping[str, _Stamp | None]
) -> dict[str, str]:
    found = {}
    for chunk in _chunks(sorted(places), 500):
        marks = ",".join("?" * len(chunk))
        query = f"SELECT place, inode, size, mtime_ns, ctime_ns, sha256 FROM digests WHERE place IN ({marks})"
        for place, *stamp, digest in database.execute(query, chunk):
            if stamps[place] == tuple(stamp) and isinstance(digest, str) and len(digest) == 64:
                found[place] = digest
    return found


def _remember(database: sqlite3.Connection, rows: Iterable[_Row]) -> None:
    with database:
        database.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?)", rows)


def _chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
