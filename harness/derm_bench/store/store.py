"""The store: content-addressed stage outputs, plan data, and one append-only record per attempt.

    <store>/VERSION                        layout version
    <store>/objects/<k:2>/<key>/           a finished stage: its files (read-only) and stage.json
    <store>/records/<k:2>/<key>.jsonl      one line per attempt at it, never rewritten
    <store>/data/<digest>                  plan-level data (splits), named by content
    <store>/staging/<attempt>/             files of a running attempt; renamed into objects/ when it is done
    <store>/staging/<attempt>.json         the process that runs it, until its record is appended
    <store>/checkpoints/<key>/             state from which an unfinished stage resumes
    <store>/running/<pid>.json             an active run, whose stages are not removed by `store gc`
    <store>/locks/<key>                    locked while the stage is executed
    <store>/aside/<name>-<n>               a corrupted stage, note, record or plan data; `store gc` removes it

A store is made only in an empty or new folder, and only names like these are removed or moved (`layout.py`).
A folder under objects/ appears by one atomic rename, so it is complete or absent. Only this class writes to the store.
A stage that is corrupted nevertheless (a damaged disk, a change by hand) is set aside and made again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from derm_bench.errors import UserError
from derm_bench.regular_files import read_regular
from derm_bench.stage_names import STAGE_FILE
from derm_bench.store.atomic_files import flush, flush_folders, reason, write_atomically
from derm_bench.store.layout import check_place, is_own, make_folders
from derm_bench.store.processes import identify, is_running
from derm_bench.store.stage_files import (
    NOTE_BYTES,
    check_digests,
    document_digest,
    file_digest,
    read_note,
    read_stage,
    records_in,
)

# Status in the record of a stage that was set aside. It is not a failure of the stage, so the stage is made again.
CORRUPT = "corrupt"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    """A finished stage: its folder, identity, result, files with their digests, and the attempt that made it."""

    key: str
    folder: Path
    result: Mapping[str, Any]
    attempt: Mapping[str, Any]
    identity: Mapping[str, Any]
    files: Mapping[str, str]


class Store:
    """Reads and writes one store folder. Several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self._objects = str(self.root / "objects")
        self._finished: dict[str, Finished] = {}
        self._sound: set[str] = set()

    def check(self) -> bool:
        """Whether the store exists. Raises UserError if its folder is something else or cannot be used. Writes
        nothing."""
        return check_place(self.root)

    def prepare(self) -> None:
        """Creates the folders and registers this process as an active run. Raises UserError if that is impossible, if
        the store has another layout, or if the folder is not empty and is not a store."""
        self.check()
        try:
            make_folders(self.root)
            write_atomically(self.root / "running" / f"{os.getpid()}.json", json.dumps(identify()).encode())
        except OSError as error:
            raise UserError(
                f"cannot write the store at {self.root}: {reason(error)}",
                hint="give a writable folder with --store or DERM_BENCH_STORE",
            ) from error

    # ------------------------------------------------------------------------ outputs

    def folder(self, key: str) -> Path:
        """The folder for the outputs of a stage, whether it has finished or not."""
        return self.root / "objects" / key[:2] / _plain(key)

    def has(self, key: str) -> bool:
        """Whether the stage has finished and its files exist. A corrupted stage is set aside."""
        return key in self._sound or self._read(key) is not None

    def finished(self, key: str) -> Finished | None:
        """The finished stage, or None. The stage file, and the small files from which tables are made, are compared
        with their digests. A corrupted stage is set aside and does not count."""
        if key not in self._finished:
            document = self._read(key, check=True)
            if document is None:
                return None
            self._finished[key] = Finished(
                key,
                self.folder(key),
                document["result"],
                document["attempt"],
                document["identity"],
                document["files"],
            )
        return self._finished[key]

    def _read(self, key: str, check: bool = False) -> dict[str, Any] | None:
        """Reads the stage file of a finished stage, compares digests if `check`, and marks the stage as used now."""
        folder = f"{self._objects}/{key[:2]}/{_plain(key)}"
        if not os.path.isdir(folder):  # noqa: PTH112  (called for every stage of a plan)
            return None
        try:
            document = read_stage(folder)
            if check:
                check_digests(Path(folder), document)
        except (OSError, ValueError) as error:
            self._set_corrupted_aside(key, str(error))
            return None
        if key not in self._sound:
            with contextlib.suppress(OSError):  # the store may be read-only
                os.utime(folder)
            self._sound.add(key)
        return document

    def _set_corrupted_aside(self, key: str, why: str) -> None:
        try:
            place = self.set_aside(key, why)
        except OSError as error:
            raise UserError(
                f"{self.folder(key)} is corrupted ({why}) and cannot be set aside: {reason(error)}",
                hint="remove that folder",
            ) from error
        if place is not None:
            _log.warning("a stored stage is corrupted (%s): set aside to %s, to be made again", why, place)

    def set_aside(self, key: str, why: str) -> Path | None:
        """Moves a corrupted stage to aside/ by one rename and records it. Returns None if another process has moved
        it."""
        place = self._move_aside(self.folder(key))
        self._sound.discard(key)
        self._finished.pop(key, None)
        if place is not None:
            error = {"type": CORRUPT, "message": why, "traceback": ""}
            moved = {"key": key, "status": CORRUPT, "error": error, "moved_to": place.name, "seconds": 0.0}
            self.append(key, moved | {"started": _now()})
        return place

    def _move_aside(self, path: Path) -> Path | None:
        """Moves a damaged file or folder to aside/ under a new name. Returns None if another process has moved it."""
        (self.root / "aside").mkdir(exist_ok=True)
        for n in range(1, 10_000):
            place = self.root / "aside" / f"{path.name}-{n}"
            if not place.exists():
                try:
                    return path.rename(place)
                except FileNotFoundError:
                    return None
        raise OSError(errno.EEXIST, "too many copies are set aside already", str(self.root / "aside"))

    def _set_file_aside(self, path: Path, what: str, why: str) -> None:
        """Moves a damaged file that is not a stage to aside/ and says so. Raises UserError if that is impossible."""
        try:
            place = self._move_aside(path)
        except OSError as error:
            raise UserError(
                f"{path} is damaged ({why}) and cannot be set aside: {reason(error)}", hint="remove it"
            ) from error
        if place is not None:
            _log.warning("%s in the store is damaged (%s): set aside to %s", what, why, place)

    def remove(self, key: str) -> None:
        """Removes a finished stage. It is renamed first, so that no process sees a part of it."""
        removed = self.root / "staging" / uuid.uuid4().hex
        self.folder(key).rename(removed)
        shutil.rmtree(removed, ignore_errors=True)
        self._sound.discard(key)
        self._finished.pop(key, None)

    # ----------------------------------------------------------------------- attempts

    def stage(self, *, key: str | None = None, attempt: Mapping[str, Any] | None = None) -> Path:
        """Creates a folder for one attempt to write into. With `key` and the attempt's record so far, a note beside the
        folder identifies the process until `append` gets the final record, so that `recover` can find dead attempts."""
        name = str((attempt or {}).get("attempt") or uuid.uuid4().hex)
        folder = self.root / "staging" / name
        folder.mkdir(parents=True)
        if key is not None:
            record = {"started": _now(), **(attempt or {}), "attempt": name, "key": key}
            note = {"record": record, "process": identify()}
            write_atomically(self._note(name), json.dumps(note).encode())
        return folder

    def recover(self) -> list[dict[str, Any]]:
        """Appends a record for each attempt whose process died before it could, and removes the files it left.

        Returns these records, with the status `interrupted`, or `done` if the outputs had been published. Attempts of
        running processes, of other hosts and of other containers are not touched.
        """
        recovered = []
        for path in sorted((self.root / "staging").glob("*.json")):
            if not is_own("staging", path):
                continue
            if not path.is_file():
                self._set_file_aside(path, "the note of an attempt", "it is not a file")
                continue
            with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # if two runs start at once, one does it
                try:
                    note = read_note(handle.read(NOTE_BYTES))
                except (ValueError, RecursionError) as error:
                    self._set_file_aside(path, "the note of an attempt", str(error))
                    continue
                if not path.exists() or is_running(note["process"]) is not False:
                    continue
                staged = path.with_suffix("")
                record = self._missing_record(note, staged)
                if record is not None:
                    self.append(record["key"], record)
                    recovered.append(record)
                self.discard(staged)
                path.unlink(missing_ok=True)
        return recovered

    def _missing_record(self, note: Mapping[str, Any], staged: Path) -> dict[str, Any] | None:
        """The record of an attempt whose process died without writing one; None if there is a record."""
        record = dict(note["record"])
        if any(line.get("attempt") == record["attempt"] for line in self.records(record["key"])):
            return None
        finished = self.finished(record["key"])
        if finished is not None and finished.attempt.get("attempt") == record["attempt"]:
            return {**finished.attempt, "status": "done"}
        message = "its process ended without a record: it was killed, or the machine went down"
        return record | {
            "status": "interrupted",
            "seconds": _seconds_alive(record["started"], staged),
            "peak_memory_mb": None,
            "peak_device_mb": None,
            "error": {"type": "interrupted", "message": message, "traceback": ""},
            "log_tail": "",
        }

    def _note(self, attempt: str) -> Path:
        return self.root / "staging" / f"{attempt}.json"

    def publish(
        self,
        key: str,
        staged: Path,
        *,
        identity: Mapping[str, Any],
        result: Mapping[str, Any],
        attempt: Mapping[str, Any],
        durable: bool | None = None,
    ) -> bool:
        """Publishes a staged folder as the output of the stage, atomically. Returns False if another attempt was first.

        It is atomic if the process dies. With `durable` (default: DERM_BENCH_FSYNC=1) it is so if the machine crashes
        too, because everything is flushed to disk before and after the rename.
        """
        files = {
            path.relative_to(staged).as_posix(): file_digest(path)
            for path in sorted(staged.rglob("*"))
            if path.is_file()
        }
        document = {"key": key, "identity": identity, "result": result, "attempt": attempt, "files": files}
        # Without indentation, because a matrix has thousands of these files and Python's encoder is slow with it.
        text = json.dumps(document | {"digest": document_digest(document)})
        (staged / STAGE_FILE).write_text(text)
        for path in staged.rglob("*"):
            if path.is_file():
                path.chmod(0o444)
        if durable is None:
            durable = os.environ.get("DERM_BENCH_FSYNC") == "1"
        if durable:
            flush(staged)
        target = self.folder(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            staged.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            self.discard(staged)
            return False
        if durable:
            flush_folders(target.parent, target.parent.parent)
        return True

    def checkpoint(self, key: str) -> Path:
        """The folder for the state from which a stage resumes after an interruption."""
        return self.root / "checkpoints" / _plain(key)

    def forget_checkpoint(self, key: str) -> None:
        """Removes the checkpoint of a finished stage."""
        shutil.rmtree(self.checkpoint(key), ignore_errors=True)

    def discard(self, staged: Path) -> None:
        """Removes the files that an attempt has left in staging."""
        shutil.rmtree(staged, ignore_errors=True)

    # ------------------------------------------------------------------------ records

    def append(self, key: str, record: Mapping[str, Any]) -> None:
        """Appends the record of an attempt by a single write of one line, so that a record is complete or absent."""
        path = self.record_file(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):  # what a link leads to is not ours
            self._set_file_aside(path, "the file of records of a stage", "it is not a regular file")
        line = (json.dumps(record, sort_keys=True) + "\n").encode()
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":  # a crash has cut off the last line
                line = b"\n" + line
            os.write(descriptor, line)
        finally:
            os.close(descriptor)
        if "attempt" in record:
            self._note(record["attempt"]).unlink(missing_ok=True)
            if record["status"] != "done":  # a killed worker could not clean up
                self.discard(self._note(record["attempt"]).with_suffix(""))

    def records(self, key: str) -> list[dict[str, Any]]:
        """The records of all attempts at a stage, oldest first. Lines that are cut off or damaged are left out."""
        return records_in(self.record_file(key))

    def record_file(self, key: str) -> Path:
        """The file with the records of all attempts at a stage, which need not exist."""
        return self.root / "records" / key[:2] / f"{_plain(key)}.jsonl"

    # ---------------------------------------------------------------------- plan data

    def put(self, content: bytes) -> str:
        """Stores plan-level data and returns its digest. A file of that name with another content is set aside."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.data(digest)
        try:
            if read_regular(path, len(content)) == content:
                return digest
            why = "its content differs from its digest"
        except OSError as error:
            why = reason(error)
        if os.path.lexists(path):
            self._set_file_aside(path, "plan data", why)
        write_atomically(path, content)
        return digest

    def check_data(self, digest: str) -> str:
        """What is wrong with the plan-level data of this digest; empty if nothing is."""
        try:
            return "" if file_digest(self.data(digest)) == digest else "its content differs from its digest"
        except OSError as error:
            return reason(error)

    def set_data_aside(self, digest: str) -> Path | None:
        """Moves damaged plan-level data to aside/. Returns None if another process has moved it."""
        return self._move_aside(self.data(digest))

    def data(self, digest: str) -> Path:
        """The file that holds plan-level data."""
        return self.root / "data" / _plain(digest)


def _plain(key: str) -> str:
    """Checks a key or digest that becomes part of a path. Raises ValueError for anything but letters and digits, so
    that nothing outside the store is read, moved or written."""
    if not (key.isascii() and key.isalnum()):
        raise ValueError(f"{key[:60]!r} is not a key of a stage: keys are hexadecimal digits")
    return key


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _seconds_alive(started: str, staged: Path) -> float:
    """Seconds from the start of an attempt to its last write, as an estimate of its duration."""
    try:
        times = [path.stat().st_mtime for path in (staged, *staged.rglob("*"))]
        return round(max(0.0, max(times) - datetime.fromisoformat(started).timestamp()), 4)
    except (OSError, ValueError):
        return 0.0
