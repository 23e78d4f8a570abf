"""Sets torch up in the process that runs stages."""

from __future__ import annotations

import torch

from derm_bench.training.precision import allow_tf32


def prepare(device: str, threads: int, precision: str = "fp32") -> None:
    """Fixed threads (results depend on their number), the plain, repeatable kernels where there is a choice, and on a
    CUDA device TF32 if and only if `precision` is `tf32`: under `fp32` no product is rounded to it, nor under `bf16`
    what stays in float32."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
        allow_tf32(precision == "tf32")
