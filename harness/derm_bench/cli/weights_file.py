"""Tells without torch whether a file can be one of weights, from its first bytes. Workers read weights themselves."""

from __future__ import annotations

import zipfile
from pathlib import Path

from derm_bench.weights_header import shapes_in

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
    try:
        shapes = shapes_in(path)
    except ValueError as error:
        return str(error)
    if any(len(shape) > 1 for shape in shapes.values()):
        return ""
    return f"{path} holds no weights of a network: none of its tensors has two dimensions"


__all__ = ["problem_of_weights"]
