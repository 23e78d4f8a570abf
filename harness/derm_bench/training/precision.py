"""Precision of a training: float32, float32 with products in TF32, or forward passes under bfloat16 autocast."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def autocast(device: str | torch.device, precision: str) -> torch.autocast:
    """The context of a forward pass under `precision`: bfloat16 autocast for `bf16`, nothing for `fp32` and `tf32`.
    Weights stay float32, and losses belong outside, in float32."""
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bf16")


def allow_tf32(allowed: bool) -> None:
    """Lets CUDA round the factors of float32 matrix products and convolutions to TF32 (10 bits of mantissa), or forbids
    it. A setting of the process, without effect on the CPU."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Float32 without TF32, whatever the precision of the stage: for features that are called fp32. The setting from
    before is restored afterwards."""
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    allow_tf32(False)
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.backends.cudnn.allow_tf32 = cudnn
