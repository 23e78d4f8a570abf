"""Reads and writes the states of networks as safetensors files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

LAYOUT = "channels_last"  # the entry of the header that lists the tensors of this memory layout


def save_state(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Writes tensors by name. Each is copied to the CPU as a contiguous tensor that shares no memory; which of them
    were channels_last is noted in the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = sorted(name for name, tensor in state.items() if _is_channels_last(tensor))
    save_file(
        {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()},
        path,
        {LAYOUT: json.dumps(layout)} if layout else None,
    )


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """Reads a file that `save_state` wrote, and restores the memory layout of its tensors."""
    state: dict[str, torch.Tensor] = load_file(path)
    with safe_open(path, framework="pt") as file:
        header = file.metadata() or {}
    for name in json.loads(header.get(LAYOUT, "[]")):
        state[name] = state[name].contiguous(memory_format=torch.channels_last)
    return state


def _is_channels_last(tensor: torch.Tensor) -> bool:
    return (
        tensor.ndim == 4
        and tensor.is_contiguous(memory_format=torch.channels_last)
        and not tensor.is_contiguous()
    )
