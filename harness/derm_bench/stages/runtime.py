"""Sets torch up in the process that runs stages."""

from __future__ import annotations

import torch


def prepare(device: str, threads: int) -> None:
    """Fixed threads (results depend on their number) and the plain, repeatable kernels where there is a choice."""
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
