"""Constant tensors of training steps. A CUDA graph cannot record the copy of numbers from the host to the device, so a
step that is recorded takes them from here: they are copied once, in the updates before the recording."""

from __future__ import annotations

import functools

import torch

Rows = tuple[float, ...] | tuple[tuple[float, ...], ...]


@functools.lru_cache(maxsize=256)
def constant(values: Rows, device: torch.device, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return `values`, a tuple of numbers or of equally long rows, as a tensor. It is shared: do not change it."""
    with torch.inference_mode(False):
        return torch.tensor(values, device=device, dtype=dtype)
