"""The names of the tensors in a file of weights without torch, and of safetensors their shapes."""

from __future__ import annotations

import json
import os
import pickletools
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from derm_bench.plain_text import recorded
from derm_bench.regular_files import open_regular

MAX_HEADER = 2**24
"""The largest header that is read, in bytes: that of a network with a hundred thousand tensors."""

LONGEST_NAME = 200
"""The most characters of the names of tensors that a message shows."""

MAX_PICKLE = 20_000_000
"""The largest list of names that is read in a file of torch.save, in bytes."""

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


def texts_in(path: Path) -> list[str]:
    """All texts in the list of tensors of a file of torch.save, the names of the tensors among them. The list is read
    and nothing in it is executed. Empty for another or an older format, and for a list that is broken or very long."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            lists = [entry for entry in archive.infolist() if entry.filename.rpartition("/")[2] == "data.pkl"]
            if not lists or lists[0].file_size > MAX_PICKLE:
                return []
            content = archive.read(lists[0])
        words = [value for opcode, value, _ in pickletools.genops(content) if opcode.name.endswith("UNICODE")]
    except (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return []
    return list(dict.fromkeys(word for word in words if isinstance(word, str)))


def problem_of_shapes(path: Path, model: str, known: Shapes) -> str:
    """Why the weights file at `path` cannot be of `model`, a network with tensors of the shapes `known`; empty if it
    can, if nothing is known of the network, or if the file is of another format or broken. Of a file of torch.save only
    the names are compared."""
    if not known:
        return ""
    if path.suffix != ".safetensors":
        return _problem_of_names(path, model, known)
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


def _problem_of_names(path: Path, model: str, known: Shapes) -> str:
    names = [text for text in texts_in(path) if "." in text and " " not in text]
    bare = {_bare(name) for name in names}
    absent = next((name for name in known if name not in bare), None)
    if not names or absent is None:
        return ""
    some = recorded(", ".join(names[:3]), LONGEST_NAME)
    return f"{path} holds no weights of {model}: it has no tensor {absent}; it has {some}"


def _bare(name: str) -> str:
    """A name without any of `PREFIXES` in front of it."""
    prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
    return name if prefix is None else _bare(name.removeprefix(prefix))


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
