"""Tells without torch whether a file can be one of weights, from its first bytes. Workers read weights themselves."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

MAX_HEADER = 100_000_000
"""The largest header that safetensors reads, in bytes."""

PICKLE = b"\x80"
"""The first byte of a file that torch.save wrote before torch 1.6."""


def problem_of_weights(path: Path) -> str:
    """What is wrong with a weights file, in one sentence; empty if nothing can be seen. The file exists."""
    if not path.is_file():
        return f"{path} is not a file; weights are a file of safetensors or of torch.save"
    try:
        if path.suffix == ".safetensors":
            return _safetensors(path)
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                inside = any(name.rpartition("/")[2] == "data.pkl" for name in archive.namelist())
            return "" if inside else f"{path} is a zip file that torch.save did not write"
        with path.open("rb") as file:
            first = file.read(1)
    except (OSError, zipfile.BadZipFile) as error:
        return f"{path} cannot be read: {error}"
    return "" if first == PICKLE else f"{path} is no weights file: neither of safetensors nor of torch.save"


def _safetensors(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            return f"{path} is no file of safetensors, or was cut off"
        try:
            header = json.loads(file.read(length))
            end = max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            return f"{path} is no file of safetensors: its header names no tensors"
    return (
        ""
        if 8 + length + end <= size
        else f"{path} was cut off: it has {size:,} of {8 + length + end:,} bytes"
    )


__all__ = ["problem_of_weights"]
