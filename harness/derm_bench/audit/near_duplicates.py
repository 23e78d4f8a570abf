"""Images across the parts of a split that are versions of each other: cropped, compressed again, brighter, mirrored.

Candidates are found in two ways: by perceptual hashes, which do not survive a crop, and by features, for which every
image is compared with crops of every other. A candidate counts if its images agree in detail once they are aligned. The
thresholds were measured on HAM10000; `benchmarks/audit` has the script and its table.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from derm_bench.audit.alignment import Guess, agreement, details
from derm_bench.audit.findings import Finding, bounded, counted
from derm_bench.audit.images import CHUNK, AuditedImages
from derm_bench.audit.perceptual import close_pairs, hashes
from derm_bench.audit.resample import applied, area, gauss, grey
from derm_bench.splits import PARTS

SIDE, STORED, CELLS, KEPT = 64, 32, 16, 150
"""Side at which images are compared, side at which band-passed images are kept, side of the features, and number of the
principal components that are compared."""
SMALLEST = 48
"""Images of a smaller stored side show too little: unrelated ones agree as well as versions of one image."""

SAME_HASH = 6
SIMILAR = 0.5
AGREE = 0.83
NEAREST = 3
"""Bits in which the hashes of a candidate differ at most; cosine of its features; the correlation of the details of two
aligned images above which they are versions of one image; and the number of candidates of an image."""

MAX_COMPARED = 150_000_000
"""Pairs of images whose features are compared; above it candidates are found by hashes alone."""
BLOCK = 256
MOST = 64
"""Hits of one view per image; of more the best are kept, so that images that are all alike do not fill the memory."""

_RATIO = 0.003  # variance, relative to the largest, below which components are not raised to equal variance

Progress = Callable[[int, int], None]


class NearDuplicate(NamedTuple):
    """Two images, by position, and how well they agree in detail: a correlation, at most 1."""

    first: int
    second: int
    agreement: float
    mirrored: bool


def views() -> list[tuple[float, float, float]]:
    """The crops that every image is compared with: scale, and shifts across and down in -1..1 of the room that the crop
    leaves. They have 82% to 100% of the area."""
    crops = [(1.0, 0.0, 0.0)]
    crops += [(0.95, x, y) for x in (-0.8, 0.8) for y in (-0.8, 0.8)]
    crops += [(0.905, x, y) for x in (-0.9, -0.3, 0.3, 0.9) for y in (-0.9, -0.3, 0.3, 0.9)]
    return crops


def near_duplicates(
    images: AuditedImages,
    known: Sequence[Sequence[int]] = (),
    progress: Progress = lambda done, total: None,
    threads: int = 1,
) -> list[NearDuplicate]:
    """The near-duplicates across parts of the split, the surest first.

    known: positions of identical images, which are not reported again. Images of one group are not compared, as they
    are expected to look alike.
    """
    held = np.flatnonzero([part != "train" for part in images.parts])
    if images.pixels.shape[1] < SMALLEST or not len(held):
        return []
    # OpenBLAS waits busily for its threads, which other work on the machine makes tens of times slower.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        stored = Stored.of(images)
        apart = Apart.of(images, known)
        candidates = dict(_by_hash(stored, held, apart))
        if _features_are_compared(images):
            candidates |= _by_features(stored, held, apart, pool, progress)
        return _verified(images, candidates, pool)


def _features_are_compared(images: AuditedImages) -> bool:
    held = sum(part != "train" for part in images.parts)
    return held * len(images) <= MAX_COMPARED


class Apart(NamedTuple):
    """Which pairs are compared: those of different groups and different parts. groups, parts: int64 [N]."""

    groups: np.ndarray
    parts: np.ndarray

    @classmethod
    def of(cls, images: AuditedImages, known: Sequence[Sequence[int]]) -> Apart:
        """Images that `known` names as identical count as one group."""
        numbers: dict[str, int] = {}
        groups = np.array([numbers.setdefault(name, len(numbers)) for name in images.groups], dtype=np.int64)
        for where in known:
            mine = groups[list(where)]
            groups[np.isin(groups, mine)] = mine[0]
        return cls(groups, np.array([PARTS.index(part) for part in images.parts], dtype=np.int64))

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        different: np.ndarray = (self.groups[first] != self.groups[second]) & (
            self.parts[first] != self.parts[second]
        )
        return different


class Stored:
    """What is kept of every image: its hashes, and its band-passed brightness at a small side.

    hash, mirrored: uint64 [N]; bands: float32 [N,32,32]; whitening: float32 [256,K].
    """

    def __init__(self, hash_: np.ndarray, mirrored: np.ndarray, bands: np.ndarray) -> None:
        self.hash, self.mirrored, self.bands = hash_, mirrored, bands
        self.whitening = _whitening(_cells(bands, 1.0, 0.0, 0.0))

    @classmethod
    def of(cls, images: AuditedImages) -> Stored:
        """What is kept of some images, read in chunks."""
        bands = np.empty((len(images), STORED, STORED), np.float32)
        plain, mirrored = np.empty(len(images), np.uint64), np.empty(len(images), np.uint64)
        small = area(SIDE, STORED)
        fine, coarse = small @ gauss(SIDE, 1.0), small @ gauss(SIDE, 4.0)
        for k, pixels in enumerate(images.chunks()):
            rows = slice(k * CHUNK, k * CHUNK + len(pixels))
            plain[rows], mirrored[rows] = hashes(pixels)
            light = np.log1p(grey(pixels, SIDE))
            bands[rows] = applied(fine, light) - applied(coarse, light)
        return cls(plain, mirrored, bands)

    def features(
        self, where: np.ndarray | None, crop: tuple[float, float, float], mirrored: bool = False
    ) -> np.ndarray:
        """The features of a crop of some images (None: of all), which are mirrored before: unit vectors float32
        [n,K]."""
        bands = self.bands if where is None else self.bands[where]
        return _unit(_cells(bands[:, :, ::-1] if mirrored else bands, *crop) @ self.whitening)


Candidates = dict[tuple[int, int], Guess]


def _by_hash(stored: Stored, held: np.ndarray, apart: Apart) -> Iterator[tuple[tuple[int, int], Guess]]:
    """Candidates whose hashes differ in a few bits, of the image as it is or mirrored."""
    for mirrored, own in ((False, stored.hash), (True, stored.mirrored)):
        for a, second in close_pairs(own[held], stored.hash, SAME_HASH):
            first = held[a]
            kept = apart(first, second)
            for pair in zip(first[kept].tolist(), second[kept].tolist(), strict=True):
                yield pair, Guess(mirrored)


def _by_features(
    stored: Stored, held: np.ndarray, apart: Apart, pool: ThreadPoolExecutor, progress: Progress
) -> Candidates:
    """Candidates with similar features in one of the views: for each held-out image the nearest ones. Either image of a
    pair may be a crop of the other."""
    hits: list[np.ndarray] = []
    guesses: list[Guess] = []
    crops, each = views(), pool.map if len(held) > BLOCK else map
    whole, own = (
        stored.features(None, crops[0]),
        {m: stored.features(held, crops[0], m) for m in (False, True)},
    )
    for done, crop in enumerate(crops):
        others = stored.features(None, crop)
        compared = [(Guess(m, False, *crop), own[m], others) for m in (False, True)]
        if done:
            compared += [
                (Guess(m, True, *crop), stored.features(held, crop, m), whole) for m in (False, True)
            ]
        for guess, mine, theirs in compared:
            work = functools.partial(_hits, mine, theirs, len(guesses))
            guesses.append(guess)
            hits += each(work, range(0, len(held), BLOCK))
        progress(done + 1, len(crops))
    found = np.concatenate(hits)
    found["first"] = held[found["first"]]
    found = found[apart(found["first"], found["second"])]
    found = found[np.argsort(-found["similar"], kind="stable")]
    nearest: dict[int, int] = {}
    candidates: Candidates = {}
    for first, second, view in zip(
        *(found[name].tolist() for name in ("first", "second", "view")), strict=True
    ):
        if (first, second) not in candidates and nearest.get(first, 0) < NEAREST:
            nearest[first] = nearest.get(first, 0) + 1
            candidates[first, second] = guesses[view]
    return candidates


_HIT = np.dtype([("first", np.int64), ("second", np.int64), ("view", np.int16), ("similar", np.float32)])


def _hits(mine: np.ndarray, theirs: np.ndarray, view: int, start: int) -> np.ndarray:
    """The pairs of similar rows, of a block of `mine` from `start` on with all of `theirs`."""
    similar = mine[start : start + BLOCK] @ theirs.T
    rows, columns = np.nonzero(similar > SIMILAR)
    if len(rows) > MOST * len(similar):
        columns = np.argpartition(-similar, MOST - 1, axis=1)[:, :MOST].ravel()
        rows = np.repeat(np.arange(len(similar)), MOST)
    found = np.empty(len(rows), _HIT)
    found["first"], found["second"], found["view"] = rows + start, columns, view
    found["similar"] = similar[rows, columns]
    return found


def _cells(bands: np.ndarray, scale: float, across: float, down: float) -> np.ndarray:
    """The means of a crop over 16 x 16 cells, as unit vectors float32 [n,256]."""
    side, room = STORED * scale, STORED * (1 - scale) / 2
    left, top = room * (1 + across), room * (1 + down)
    cells = applied(
        area(STORED, CELLS, top, top + side), bands, area(STORED, CELLS, left, left + side)
    ).reshape(len(bands), -1)
    return _unit(cells - cells.mean(1, keepdims=True))


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1. Those of images without any contrast stay 0, and are similar to none."""
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    made: np.ndarray = rows / np.where(length > 1e-4, length, np.inf)
    return made.astype(np.float32, copy=False)


def _whitening(cells: np.ndarray) -> np.ndarray:
    """The map to principal components of equal variance, float32 [256,K]: what all images share, such as a dark spot in
    the middle, then counts no more than what tells them apart."""
    variances, vectors = np.linalg.eigh(cells.T @ cells / max(1, len(cells)))
    variances, vectors = variances[::-1][:KEPT], vectors[:, ::-1][:, :KEPT]
    scaled: np.ndarray = vectors / np.sqrt(np.maximum(variances, 0) + max(variances[0], 1e-6) * _RATIO)
    return scaled.astype(np.float32)


def _verified(images: AuditedImages, candidates: Candidates, pool: ThreadPoolExecutor) -> list[NearDuplicate]:
    """The candidates whose images agree in detail, each pair once."""
    if not candidates:
        return []
    used = sorted({i for pair in candidates for i in pair})
    place = {i: k for k, i in enumerate(used)}
    fine = np.concatenate(
        [
            details(grey(np.asarray(images.pixels[images.rows[used[k : k + CHUNK]]]), SIDE))
            for k in range(0, len(used), CHUNK)
        ]
    )

    def measure(item: tuple[tuple[int, int], Guess]) -> NearDuplicate:
        (first, second), guess = item
        agree = agreement(fine[place[first]], fine[place[second]], guess)
        return NearDuplicate(first, second, round(agree, 3), guess.mirrored)

    best: dict[frozenset[int], NearDuplicate] = {}
    for one in pool.map(measure, candidates.items()):
        pair = frozenset(one[:2])
        if one.agreement >= AGREE and (pair not in best or one.agreement > best[pair].agreement):
            best[pair] = one
    return sorted(best.values(), key=lambda one: (-one.agreement, one.first, one.second))


def near_duplicate_findings(images: AuditedImages, found: Sequence[NearDuplicate]) -> Iterator[Finding]:
    """The finding about near-duplicates across parts, and a note if the images are too small to look for them or too
    many to look for all of them."""
    size = images.pixels.shape[1]
    if size < SMALLEST:
        yield Finding(
            code="near_duplicates_not_checked",
            severity="note",
            sentence=f"near-duplicates were not looked for: at {size} px images of different lesions look "
            f"alike (a size of "
            f"{SMALLEST} px or more is needed)",
        )
    elif not _features_are_compared(images):
        yield Finding(
            code="near_duplicates_partly_checked",
            severity="note",
            sentence=f"near-duplicates among {len(images):,} images were looked for by perceptual hashes alone, which "
            f"miss crops: more than {MAX_COMPARED:,} pairs would have to be compared",
        )
    if not found:
        return
    torn = sum(images.labels[pair.first] != images.labels[pair.second] for pair in found)
    concerned = {i for pair in found for i in pair[:2]}
    parts = {images.parts[i] for i in concerned}
    held = sum(images.parts[i] in ("val", "test") for i in concerned)
    yield Finding(
        code="near_duplicates",
        severity="warning",
        sentence=f"{counted(len(found), 'pair')} of images across parts of the split are versions of one "
        f"image or show one "
        f"lesion, though no group joins them ({held:,} of the images are in val or test"
        + (f"; {torn:,} of the pairs have different labels" if torn else "")
        + "): look at them, and give those that belong together one group",
        counts={"pairs": len(found), "images": len(concerned), "different_labels": torn},
        images=bounded(images.names(pair[:2]) for pair in found),
        parts=tuple(part for part in ("train", "val", "test", "reserve") if part in parts),
        values={"agreement": [pair.agreement for pair in found[:200]]},
    )
