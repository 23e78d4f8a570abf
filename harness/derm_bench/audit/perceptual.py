"""Perceptual hashes of many images at once.

The hash is that of `imagehash.phash`: 64 bits, the signs of the lowest frequencies of a 32 x 32 grey image around their
median. The few lines are here because that package hashes one image at a time, and because the hash of the mirrored
image follows from the same cosine transform.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from derm_bench.audit.resample import applied, cosine, grey

SIDE, LOW = 32, 8
BANDS, BITS = 4, 16
MAX_BUCKET = 2_000
"""Equal bands of more images than this are not compared: nearly featureless images have equal hashes."""


def hashes(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of uint8 [n,S,S,3] and of the mirrored images, uint64 [n] each."""
    low = applied(cosine(SIDE, LOW), grey(pixels, SIDE))
    mirrored = low * np.where(np.arange(LOW) % 2, -1, 1).astype(np.float32)
    return _packed(low), _packed(mirrored)


def _packed(low: np.ndarray) -> np.ndarray:
    flat = low.reshape(len(low), -1)
    bits = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The number of bits in which hashes differ."""
    return np.bitwise_count(one ^ other)


def close_pairs(
    queries: np.ndarray, others: np.ndarray, within: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs (positions in `queries`, positions in `others`) of hashes that differ in at most `within` bits, and agree
    in one of four bands of 16 bits. Each band yields its pairs, so that a pair may come more than once."""
    if not len(queries) or not len(others):
        return
    for band in range(BANDS):
        shift = np.uint64(band * BITS)
        mine, theirs = ((hashes >> shift).astype(np.uint16) for hashes in (queries, others))
        order = np.argsort(theirs, kind="stable")
        found = theirs[order]
        first, last = np.searchsorted(found, mine, "left"), np.searchsorted(found, mine, "right")
        counts = last - first
        counts[counts > MAX_BUCKET] = 0
        which = np.repeat(np.arange(len(mine)), counts)
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        other = order[first[which] + offsets]
        near = distance(queries[which], others[other]) <= within
        yield which[near], other[near]
