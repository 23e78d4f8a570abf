"""Configures torch in the process that runs stages."""

from __future__ import annotations

import torch

from derm_bench.training.precision import allow_tf32


def prepare(device: str, threads: int, precision: str = "fp32") -> None:
    """Sets the number of threads, on which results depend, makes torch flush denormal numbers to zero, and selects the
    CUDA device.

    On a CUDA device TF32 is used if and only if `precision` is `tf32`: products are not rounded to TF32 under `fp32`,
    nor are the products that stay in float32 under `bf16`. Convolutions use algorithms that give the same result every
    time: by default cuDNN may choose some that add in a random order, so that two runs of a matrix would differ.
    """
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
        allow_tf32(precision == "tf32")
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
