"""Seeds: one number for a stage, and independent streams derived from it by name."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seeds Python, NumPy and torch (all devices); a stage does so before it creates a plugin, so that
    initial weights depend on the seed alone."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def child_seed(seed: int, name: str) -> int:
    """A seed for the stream `name`, unrelated to those of other names: drawing more from one stream (another
    augmentation, say) leaves the rest (the order of the images) as it was."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def stream(seed: int, name: str, device: str | torch.device = "cpu") -> torch.Generator:
    """A fresh generator on `device` for the stream `name` of `seed`."""
    return torch.Generator(device=device).manual_seed(child_seed(seed, name))
