"""The store: content-addressed stage outputs, plan data, and one append-only record per attempt.

    <store>/VERSION                        layout version
    <store>/objects/<k:2>/<key>/           a finished stage: its files (read-only) and stage.json
    <store>/records/<k:2>/<key>.jsonl      one line per attempt at it, never rewritten
    <store>/data/<digest>                  plan-level data (splits), named by content
    <store>/staging/<attempt>/             what a running attempt writes; renamed into objects/ when done

A folder under objects/ appears by one atomic rename, so it is whole or absent. Nothing else writes here.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from derm_bench.errors import UserError

LAYOUT = "1"
STAGE_FILE = "stage.json"


def default_store() -> Path:
    """`$DERM_BENCH_STORE`, else a folder in the user's cache."""
    named = os.environ.get("DERM_BENCH_STORE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("derm-bench")) / "store"


@dataclass(frozen=True)
class Finished:
    """A finished stage: its folder, the identity it was keyed by, its result and the attempt that made it."""

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
        self._finished: dict[str, Finished] = {}

    def prepare(self) -> None:
        """Makes the folders; a UserError where that is impossible or the layout is another one."""
        try:
            for name in ("objects", "records", "data", "staging"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
            version = self.root / "VERSION"
            if not version.exists():
                _write_atomically(version, LAYOUT.encode())
        except OSError as error:
            raise UserError(
                f"cannot write the store at {self.root}: {reason(error)}",
                hint="give a writable folder with --store or DERM_BENCH_STORE",
            ) from error
        if version.read_text() != LAYOUT:
            raise UserError(
                f"the store at {self.root} has layout {version.read_text()!r}, this version reads {LAYOUT!r}",
                hint="use another folder with --store",
            )

    # ------------------------------------------------------------------------ outputs

    def folder(self, key: str) -> Path:
        """Where the outputs of a stage are, or will be."""
        return self.root / "objects" / key[:2] / key

    def has(self, key: str) -> bool:
        """True where the stage has finished before."""
        return key in self._finished or (self.folder(key) / STAGE_FILE).is_file()

    def finished(self, key: str) -> Finished | None:
        """The finished stage, or None."""
        if key not in self._finished:
            folder = self.folder(key)
            try:
                document = json.loads((folder / STAGE_FILE).read_text())
            except FileNotFoundError:
                return None
            except (OSError, ValueError) as error:
                raise UserError(
                    f"{folder / STAGE_FILE} cannot be read: {error}", hint="remove that folder"
                ) from error
            self._finished[key] = Finished(
                key, folder, document["result"], document["attempt"], document["identity"], document["files"]
            )
        return self._finished[key]

    def stage(self) -> Path:
        """A fresh folder for one attempt to write into."""
        folder = self.root / "staging" / uuid.uuid4().hex
        folder.mkdir(parents=True)
        return folder

    def publish(
        self,
        key: str,
        staged: Path,
        *,
        identity: Mapping[str, Any],
        result: Mapping[str, Any],
        attempt: Mapping[str, Any],
    ) -> bool:
        """Makes a staged folder the stage's output, whole or not at all. False where another attempt was first."""
        files = {
            path.relative_to(staged).as_posix(): file_digest(path)
            for path in sorted(staged.rglob("*"))
            if path.is_file()
        }
        document = {"key": key, "identity": identity, "result": result, "attempt": attempt, "files": files}
        (staged / STAGE_FILE).write_text(json.dumps(document, indent=1, sort_keys=True, allow_nan=True))
        for path in staged.rglob("*"):
            if path.is_file():
                path.chmod(0o444)
        target = self.folder(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            staged.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            self.discard(staged)
            return False
        return True

    def discard(self, staged: Path) -> None:
        """Removes what an attempt left in staging."""
        shutil.rmtree(staged, ignore_errors=True)

    # ------------------------------------------------------------------------ records

    def append(self, key: str, record: Mapping[str, Any]) -> None:
        """Adds one attempt's record: a single write of one line, so that a record is whole or absent."""
        path = self.root / "records" / key[:2] / f"{key}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        line = (json.dumps(record, sort_keys=True) + "\n").encode()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def records(self, key: str) -> list[dict[str, Any]]:
        """All attempts at a stage, oldest first; a line torn by a crash is left out."""
        try:
            text = (self.root / "records" / key[:2] / f"{key}.jsonl").read_text()
        except FileNotFoundError:
            return []
        return list(_whole_lines(text))

    # ---------------------------------------------------------------------- plan data

    def put(self, content: bytes) -> str:
        """Keeps plan-level data by its digest, which it returns."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.data(digest)
        if not path.exists():
            _write_atomically(path, content)
        return digest

    def data(self, digest: str) -> Path:
        """The file that holds plan-level data."""
        return self.root / "data" / digest


def reason(error: OSError) -> str:
    """What the system said, without the errno."""
    return (error.strerror or str(error)).lower()


def file_digest(path: Path) -> str:
    """sha256 of a file, hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _write_atomically(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    temporary.write_bytes(content)
    temporary.replace(path)


def _whole_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
