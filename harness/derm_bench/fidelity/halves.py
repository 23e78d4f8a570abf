"""The real images that samples of a class are compared with, and those of the control `real-holdout`.

Samples are compared with validation images, which no generator was fitted on, since a generator could otherwise copy
them. Where a class has too few of them, they are compared with a fixed half of the training images, with which copies
agree best.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Literal

MAX_IMAGES = 2000
ENOUGH = 20
"""The number of validation images of a class from which samples are compared with them."""

Compared = Literal["val", "half"]


def compared_with(n_val: int) -> Compared:
    """Return what samples of a class with `n_val` validation images are compared with: `val`, or the `half` of its
    training images."""
    return "val" if n_val >= ENOUGH else "half"


def chosen(ids: Sequence[str], limit: int = MAX_IMAGES, seed: int = 0) -> list[int]:
    """Return sorted positions of at most `limit` images, which depend on the names alone and not on their order."""
    return sorted(sorted(range(len(ids)), key=lambda i: _digest(seed, ids[i]))[:limit])


def split_halves(
    ids: Sequence[str], groups: Sequence[str], seed: int = 0, limit: int = MAX_IMAGES
) -> tuple[list[int], list[int]]:
    """Return sorted positions (comparison half, holdout half) of equal length n = min(half, `limit`).

    Whole groups (lesion, patient) are added to the half with fewer images, the largest groups first, and groups of
    equal size in the order of a digest of seed and name. The halves therefore depend on the names alone, not on the
    order of the images. If the groups do not allow a second half of at least two images, the comparison half keeps its
    images and the holdout half is empty.
    """
    count = Counter(groups)
    order = sorted(count, key=lambda group: (-count[group], _digest(seed, group)))
    side: dict[str, int] = {}
    total = [0, 0]
    for group in order:
        side[group] = int(total[1] < total[0])
        total[side[group]] += count[group]
    positions = sorted(range(len(ids)), key=lambda i: _digest(seed, ids[i]))
    halves = [[i for i in positions if side[groups[i]] == which] for which in (0, 1)]
    if len(halves[1]) < 2:
        return sorted(halves[0][:limit]), []
    n = min(len(halves[0]), len(halves[1]), limit)
    return sorted(halves[0][:n]), sorted(halves[1][:n])


def _digest(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
