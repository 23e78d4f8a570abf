"""Two halves of a class's real images that share no group: to compare with, and held out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

MAX_IMAGES = 2000


def split_halves(
    ids: Sequence[str], groups: Sequence[str], seed: int = 0, limit: int = MAX_IMAGES
) -> tuple[list[int], list[int]]:
    """Positions (comparison half, holdout half), sorted, equally many: n = min(half, `limit`) on both sides.

    Whole groups (lesion, patient) go to the half that has fewer images, the largest groups first, equal
    ones by a digest of seed and name; so the halves depend on the names alone, not on the order of the
    images. Where groups allow no second half of two images, the comparison half keeps what it
    has and the holdout is empty.
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
