"""The names and shapes of the tensors in a file of safetensors, from its header, without torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from derm_bench.plain_text import recorded
from derm_bench.regular_files import open_regular

MAX_HEADER = 2**24
"""The largest header that is read, in bytes: that of a network with a hundred thousand tensors."""

LONGEST_NAME = 200
"""The most characters of the names of tensors that a message shows."""

PREFIXES = ("model.", "module.", "net.")
"""Names of the module that wraps a network in training scripts. They are taken off when weights are loaded."""

Shapes = Mapping[str, tuple[int, ...]]


def shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor of a `.safetensors` file, by name. Raises ValueError, with a sentence that names the
    file, if it is no such file or was cut off, and OSError if it cannot be read."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if MAX_HEADER < length <= size - 8:
            raise ValueError(f"{path} has a header of {length:,} bytes, more than {MAX_HEADER:,}")
        if not 2 <= length <= size - 8:
            raise ValueError(f"{path} is no file of safetensors, or was cut off")
        text = file.read(length)
    try:
        header = json.loads(text)
        entries = {str(name): entry for name, entry in header.items() if name != "__metadata__"}
        end = max(int(entry["data_offsets"][1]) for entry in entries.values())
        shapes = {name: tuple(map(int, entry["shape"])) for name, entry in entries.items()}
        whole = 8 + length + end <= size
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ValueError(f"{path} is no file of safetensors: its header names no tensors") from error
    if not whole:
        raise ValueError(f"{path} was cut off: it has {size:,} of {8 + length + end:,} bytes")
    return shapes


def problem_of_shapes(path: Path, model: str, known: Shapes) -> str:
    """Why the file of safetensors at `path` cannot be of `model`, a network with tensors of the shapes `known`; empty
    if it can, if nothing is known of the network, or if the file is of another format or broken."""
    if path.suffix != ".safetensors" or not known:
        return ""
    try:
        found = without_prefix(shapes_in(path), known)
    except (OSError, ValueError):
        return ""  # reported as a file that holds no weights
    for name, shape in known.items():
        if name not in found:
            some = f"the first of its {len(found)} are {recorded(', '.join(list(found)[:3]), LONGEST_NAME)}"
            return f"{path} holds no weights of {model}: it has no tensor {name}; {some}"
        if found[name] != shape:
            return (
                f"{path} holds no weights of {model}: {name} is {list(found[name])} instead of {list(shape)}"
            )
    return ""


def without_prefix(shapes: Shapes, known: Shapes) -> Shapes:
    """The shapes by names without `PREFIXES` in front of all of them, as far as none of the names is in `known`."""
    shapes = {name.removeprefix("module."): shape for name, shape in shapes.items()}
    while shapes and not any(name in known for name in shapes):
        prefix = next(
            (prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in shapes)), None
        )
        if prefix is None:
            break
        shapes = {name.removeprefix(prefix): shape for name, shape in shapes.items()}
    return shapes
