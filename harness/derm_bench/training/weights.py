"""User weights files: read as data (safetensors or weights-only), with a size limit and a check of the keys."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from derm_bench.errors import UserError

MAX_BYTES = 4 * 2**30
WRAPPERS = ("state_dict", "model", "net")  # keys under which training scripts nest the weights

PREFIXES = ("model.", "module.", "net.")  # names of the module that wraps the network in training scripts


def read_weights(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, torch.Tensor]:
    """Return the CPU tensors of a `.safetensors` file or a torch file by name. No code in the file is executed.

    Raises UserError if the file does not exist, is larger than `max_bytes` (unpacked), is unreadable, or contains
    anything except tensors.
    """
    path = Path(path).absolute()
    if not path.is_file():
        raise UserError("there is no weights file here", file=path)
    _check_size(path, max_bytes)
    try:
        loaded: Any = load_file(path) if path.suffix == ".safetensors" else _torch_load(path)
    except (SafetensorError, RuntimeError, ValueError, OSError, EOFError, KeyError) as error:
        raise UserError(f"the weights cannot be read: {_first_line(error)}", file=path) from error
    return _tensors(loaded, path)


def load_network(net: nn.Module, head: nn.Module | None, path: Path, unused: Sequence[str] = ()) -> None:
    """Load the file at `path` into `net`, on the device of `net`.

    The layers of `head` are loaded if they all fit; otherwise, as with other classes, they keep their initial values.
    Entries whose names begin with one of `unused` are ignored. For other entries, raises a UserError that lists
    missing, unexpected and wrongly shaped ones.
    """
    own = net.state_dict()
    file = without_prefix(read_weights(path), own)
    file = {key: value for key, value in file.items() if key in own or not key.startswith(tuple(unused))}
    names = _names_within(net, head)
    if compare_keys(_only(own, names), _only(file, names)):
        file = {k: v for k, v in file.items() if k not in names} | _only(own, names)
    problems = compare_keys(own, file)
    if problems:
        raise UserError(
            f"the weights do not fit {type(net).__name__}: {'; '.join(problems)}",
            file=Path(path).absolute(),
            hint="the file must hold the state dict of this network; its head may have other classes",
        )
    net.load_state_dict(file)


def without_prefix(
    file: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Remove `model.` and `module.`, which training scripts put before all names, until a name is one of `own`."""
    file = dict(file)
    while file and not any(key in own for key in file):
        prefix = next((prefix for prefix in PREFIXES if all(key.startswith(prefix) for key in file)), None)
        if prefix is None:
            break
        file = {key.removeprefix(prefix): value for key, value in file.items()}
    return file


def origin_of(path: Path) -> dict[str, str]:
    """Return the name and SHA-256 of a weights file, which results record as the origin of a network."""
    with Path(path).open("rb") as handle:
        return {"file": Path(path).name, "sha256": hashlib.file_digest(handle, "sha256").hexdigest()}


def origin_in_memory(source: str, state: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Return `source` and the SHA-256 of tensors that a library downloaded, over their bytes in order of names."""
    digest = hashlib.sha256()
    for key, value in sorted(state.items()):
        digest.update(f"{key} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return {"source": source, "sha256": digest.hexdigest()}


def compare_keys(own: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> list[str]:
    """Return the reasons why `other` cannot be loaded into `own`, one phrase each; empty if it can."""
    missing = [key for key in own if key not in other]
    unexpected = [key for key in other if key not in own]
    shapes = [
        f"{key} is {list(other[key].shape)} instead of {list(own[key].shape)}"
        for key in own
        if key in other and own[key].shape != other[key].shape
    ]
    kinds = (("missing", missing), ("unexpected", unexpected), ("shape", shapes))
    return [f"{kind}: {_some(items)}" for kind, items in kinds if items]


def _check_size(path: Path, max_bytes: int) -> None:
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = max(size, sum(entry.file_size for entry in archive.infolist()))
    if size > max_bytes:
        raise UserError(f"the weights take {size:,} bytes; at most {max_bytes:,} are read", file=path)


def _torch_load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (
        Exception
    ) as error:  # UnpicklingError, and other exceptions that the unpickler raises for a broken file
        raise ValueError(f"torch.load(weights_only=True) refuses it ({_first_line(error)})") from error


def _tensors(loaded: Any, path: Path) -> dict[str, torch.Tensor]:
    for wrapper in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    if not isinstance(loaded, Mapping) or not loaded:
        raise UserError("the file contains no state dict (a map of names to tensors)", file=path)
    wrong = [str(key) for key, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if wrong:
        raise UserError(f"these entries of the file are not tensors: {_some(wrong)}", file=path)
    return {str(key).removeprefix("module."): value for key, value in loaded.items()}


def _names_within(net: nn.Module, head: nn.Module | None) -> set[str]:
    if head is None:
        return set()
    prefix = next((name for name, module in net.named_modules() if module is head), None)
    return {f"{prefix}.{key}" for key in head.state_dict()} if prefix else set()


def _only(state: Mapping[str, torch.Tensor], names: set[str]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in state.items() if key in names}


def _some(items: list[str], n: int = 5) -> str:
    rest = f" and {len(items) - n} more" if len(items) > n else ""
    return ", ".join(items[:n]) + rest


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
