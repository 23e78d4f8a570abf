"""Seeding: the global random generators of a stage, and independent generators derived from its seed by name."""

from __future__ import annotations

import random

import numpy as np
import torch

from derm_bench.seeds import child_seed

__all__ = ["child_seed", "seed_everything", "stream"]


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (all devices). A stage calls this before it creates a plugin, so that initial
    weights depend on the seed alone."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def stream(seed: int, name: str, device: str | torch.device = "cpu") -> torch.Generator:
    """Return a new generator on `device` for the stream `name` of `seed` (see `derm_bench.seeds.child_seed`)."""
    return torch.Generator(device=device).manual_seed(child_seed(seed, name))
