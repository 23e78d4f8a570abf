"""Reads the stage files, records and notes of a store, which may be damaged, and computes the digests in them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from derm_bench.regular_files import open_regular, read_regular
from derm_bench.stage_names import STAGE_FILE

FIELDS = ("key", "identity", "result", "attempt", "files")
_TYPES: Mapping[str, type] = {"key": str, "identity": dict, "result": dict, "attempt": dict, "files": dict}
STAGE_BYTES, RECORD_BYTES, NOTE_BYTES = 2**26, 2**28, 2**20
"""The largest stage file, file of records and note of an attempt that is read."""

# The files from which tables, sheets and reports are made. They are small; networks and images are not.
READ_FILES = (
    "values.json",
    "history.csv",
    "predictions.arrow",
    "index.json",
    "files.json",
    "audit.json",
    "summary.parquet",
    "figures.json",
)


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open_regular(path) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def read_stage(folder: str | Path) -> dict[str, Any]:
    """Reads the stage file of a folder. Raises ValueError or OSError if it is invalid, if it belongs to another key
    than the name of the folder, or if a file that it lists is missing. Digests are not checked: `check_digests` does
    that for what tables are read from, and `maintenance.verify` for everything."""
    try:
        document = json.loads(read_regular(f"{folder}/{STAGE_FILE}", STAGE_BYTES))
    except FileNotFoundError:
        raise ValueError(f"{STAGE_FILE} is missing") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{STAGE_FILE} is not JSON: {error}") from error
    absent = [name for name in FIELDS if not isinstance(document, dict) or name not in document]
    if absent:
        raise ValueError(f"{STAGE_FILE} lacks {', '.join(absent)}")
    wrong = [name for name, wanted in _TYPES.items() if not isinstance(document[name], wanted)]
    if wrong:
        raise ValueError(f"{STAGE_FILE} has another type of {', '.join(wrong)}")
    if document["key"] != os.path.basename(folder):  # noqa: PTH119
        raise ValueError(f"{STAGE_FILE} belongs to the stage {document['key'][:60]}")
    for name in document["files"]:
        if not os.path.isfile(f"{folder}/{name}"):  # noqa: PTH113
            raise ValueError(f"{name} is missing")
    return document


def check_digests(folder: Path, document: Mapping[str, Any]) -> None:
    """Compares the stage file that was read from a folder, and the small files from which tables are made, with their
    digests. Raises ValueError or OSError for the first difference."""
    if document.get("digest") != _digest_of_plain(document):
        raise ValueError(f"{STAGE_FILE} changed")
    for name in READ_FILES:
        digest = document["files"].get(name)
        if digest is not None and file_digest(folder / name) != digest:
            raise ValueError(f"{name} changed")


def document_digest(document: Mapping[str, Any]) -> str:
    """The SHA-256 of the fields of a stage file, as they are read back from JSON."""
    return _digest_of_plain(json.loads(json.dumps({name: document[name] for name in FIELDS})))


def _digest_of_plain(document: Mapping[str, Any]) -> str:
    plain = {name: document[name] for name in FIELDS}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def records_in(path: Path) -> list[dict[str, Any]]:
    """The records in a file of records, oldest first, without those that are damaged (`whole_records`); none if it
    cannot be read."""
    try:
        return list(whole_records(read_regular(path, RECORD_BYTES)))
    except OSError:
        return []


def whole_records(content: bytes) -> Iterator[dict[str, Any]]:
    """The records of attempts in a file of records. Lines that are cut off, damaged or no records are left out."""
    for line in content.splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(record, dict) or not isinstance(record.get("status"), str):
            continue
        error = record.get("error")
        if error is None or (isinstance(error, dict) and isinstance(error.get("message", ""), str)):
            yield record


def read_note(content: bytes) -> dict[str, Any]:
    """The note of a running attempt: `record`, its record so far, and `process`, which runs it. Raises ValueError if
    the note is damaged."""
    note = json.loads(content)
    record, process = (note.get(name) if isinstance(note, dict) else None for name in ("record", "process"))
    if not isinstance(record, dict) or not isinstance(process, dict):
        raise ValueError("it is not a note of an attempt")
    texts = [str(record.get(name, "")) for name in ("attempt", "key", "started")]
    if not all(texts) or not isinstance(process.get("pid"), int):
        raise ValueError("it lacks the attempt, its key, its start or its process")
    if not all(text.isascii() and text.isalnum() for text in texts[:2]):
        raise ValueError("its attempt or key is none of ours")
    return note
