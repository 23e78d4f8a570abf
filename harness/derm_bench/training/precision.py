"""Precision of the forward pass: fp32, or bf16 autocast with fp32 weights."""

from __future__ import annotations

import torch


def autocast(device: str | torch.device, precision: str) -> torch.autocast:
    """The context of a forward pass under `precision` (fp32 or bf16); losses belong outside, in float32."""
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16, enabled=precision == "bf16")
