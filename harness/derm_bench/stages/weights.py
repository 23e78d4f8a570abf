"""Reads and writes the states of networks as safetensors files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def save_state(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Writes tensors by name. Each is copied to the CPU as a contiguous tensor that shares no memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}, path)


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """Reads a file that `save_state` wrote."""
    return load_file(path)
