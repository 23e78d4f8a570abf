"""Derives seeds from other seeds. Imports no torch."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: object) -> int:
    """The seed of a stage, in [0, 2^31), as a function of `parts`: a purpose ("fit"), the seed of the cell, and further
    values that distinguish the stage from others. Different parts give unrelated seeds. The seed is one of the planned
    parameters, so it is known before anything runs."""
    return int.from_bytes(_digest("/".join(str(part) for part in parts))[:4], "big") >> 1


def child_seed(seed: int, name: str) -> int:
    """The seed, in [0, 2^56), of the random stream `name` in a stage with seed `seed`. Streams with different names are
    unrelated: drawing more numbers from one (for an additional augmentation) does not change another (the order of
    images)."""
    return int.from_bytes(_digest(f"{seed}/{name}")[:7], "big")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
