"""Reads the stage file of a finished stage, and computes the digests in it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derm_bench.stage_names import STAGE_FILE

FIELDS = ("key", "identity", "result", "attempt", "files")


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def read_stage(folder: str | Path) -> dict[str, Any]:
    """Reads the stage file of a folder. Raises ValueError or OSError if it is invalid or if a file that it lists is
    missing. Contents of files are not checked; `maintenance.verify` does that."""
    try:
        with open(f"{folder}/{STAGE_FILE}", "rb") as file:  # noqa: PTH123  (thousands of them)
            document = json.loads(file.read())
    except FileNotFoundError:
        raise ValueError(f"{STAGE_FILE} is missing") from None
    except ValueError as error:
        raise ValueError(f"{STAGE_FILE} is not JSON: {error}") from error
    absent = [name for name in FIELDS if not isinstance(document, dict) or name not in document]
    if absent:
        raise ValueError(f"{STAGE_FILE} lacks {', '.join(absent)}")
    for name in document["files"]:
        if not os.path.isfile(f"{folder}/{name}"):  # noqa: PTH113
            raise ValueError(f"{name} is missing")
    return document


def document_digest(document: Mapping[str, Any]) -> str:
    """The SHA-256 of the fields of a stage file, as they are read back from JSON."""
    plain = json.loads(json.dumps({name: document[name] for name in FIELDS}))
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
