"""Network states as safetensors: written by fit and train, read by sample, evaluate and fidelity."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def save_state(path: Path, state: Mapping[str, torch.Tensor]) -> None:
    """Writes tensors by name; each is copied to the CPU, contiguous and unshared."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}, path)


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """Reads what `save_state` wrote."""
    return load_file(path)
