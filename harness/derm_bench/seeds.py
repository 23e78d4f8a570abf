"""Derivation of seeds. All derived seeds come from here. Imports no torch."""

from __future__ import annotations

import hashlib


def derive_seed(*parts: object) -> int:
    """The seed of a stage in [0, 2^31), a function of `parts`: a purpose ("fit"), the seed of the cell, and anything
    else that distinguishes the stage. Different parts give unrelated seeds. It is one of the planned parameters of a
    stage, so it is known before anything runs."""
    return int.from_bytes(_digest("/".join(map(str, parts)))[:4], "big") >> 1


def child_seed(seed: int, name: str) -> int:
    """The seed in [0, 2^56) of the random stream `name` inside a stage whose seed is `seed`. Streams of different names
    are unrelated: drawing more from one (for another augmentation) does not change another (the order of images)."""
    return int.from_bytes(_digest(f"{seed}/{name}")[:7], "big")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
