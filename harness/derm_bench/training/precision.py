"""Training precision: float32, float32 with products in TF32, or forward passes under bfloat16 autocast."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def autocast(device: str | torch.device, precision: str) -> torch.autocast:
    """Return the context for forward passes in `precision`: bfloat16 autocast for `bf16`, no autocast for `fp32` and
    `tf32`. Weights stay float32. Compute losses outside of it, in float32."""
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bf16")


def allow_tf32(allowed: bool) -> None:
    """Allow or forbid that CUDA rounds the factors of float32 matrix products and convolutions to TF32 (10 bits of
    mantissa). The setting applies to the process and has no effect on the CPU."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


@contextlib.contextmanager
def full_float32() -> Iterator[None]:
    """Disable TF32 within the block, for features that must be float32 at any precision of the stage. The previous
    setting is restored."""
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    allow_tf32(False)
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = matmul
        torch.backends.cudnn.allow_tf32 = cudnn
