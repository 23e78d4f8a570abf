"""Images across the parts of a split that are versions of each other: cropped, compressed again, brighter, mirrored.

Candidates are found in two ways: by perceptual hashes, which do not survive a crop, and by features, for which every
image is compared with crops of every other. A candidate counts if its images agree in detail once they are aligned. The
thresholds were measured on HAM10000; `benchmarks/audit` has the script and its table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from derm_bench.audit.alignment import Guess, agreement, details
from derm_bench.audit.findings import Finding, bounded, counted
from derm_bench.audit.images import CHUNK, AuditedImages
from derm_bench.audit.perceptual import close_pairs, hashes
from derm_bench.audit.resample import applied, area, gauss, grey

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

_RATIO = 0.003  # variance, relative to the largest, below which components are not raised to equal variance

Progress = Callable[[int, int], None]


class NearDuplicate(NamedTuple):
    """Two images, by position, and how well they agree in detail: a correlation, at most 1."""

    first: int
    second: int
    agreement: float
    mirrored: bool


class View(NamedTuple):
    """How one of two images might lie in the other: a centred or shifted crop (`scale`, and shifts -1..1 of the room
    that it leaves), of the image in `others` or (`of_query`) of the query, which may be mirrored."""

    mirrored: bool
    of_query: bool
    scale: float
    across: float
    down: float


def views() -> list[View]:
    """All views that are compared: crops of 82% to 100% of the area."""
    crops = [(1.0, 0.0, 0.0)]
    crops += [(0.95, x, y) for x in (-0.8, 0.8) for y in (-0.8, 0.8)]
    crops += [(0.905, x, y) for x in (-0.9, -0.3, 0.3, 0.9) for y in (-0.9, -0.3, 0.3, 0.9)]
    return [
        View(mirrored, of_query, *crop)
        for mirrored in (False, True)
        for crop in crops
        for of_query in (False, True)
        if not (of_query and crop[0] == 1)
    ]


def near_duplicates(
    images: AuditedImages, known: Sequence[Sequence[int]] = (), progress: Progress = lambda done, total: None
) -> list[NearDuplicate]:
    """The near-duplicates across parts of the split, the surest first.

    known: positions of identical images, which are not reported again. Images of one group are not compared, as they
    are expected to look alike.
    """
    if images.pixels.shape[1] < SMALLEST:
        return []
    groups = _joined(images, known)
    stored = Stored.of(images)
    candidates: dict[tuple[int, int], Guess] = {}
    parts = np.array([("test", "val", "reserve", "train").index(part) for part in images.parts])
    steps = [(np.flatnonzero(parts == k), np.flatnonzero(parts > k)) for k in range(3)]
    for queries, others in steps:
        for pair, guess in stored.by_hash(queries, others, groups):
            candidates.setdefault(pair, guess)
    if sum(len(queries) * len(others) for queries, others in steps) <= MAX_COMPARED:
        total, done = sum(len(queries) for queries, _ in steps), 0
        for queries, others in steps:
            for pair, guess in stored.by_features(queries, others, groups):
                candidates[pair] = guess
                # One step per query is precise enough.
            done += len(queries)
            progress(done, total)
    return _verified(images, candidates)


def _joined(images: AuditedImages, known: Sequence[Sequence[int]]) -> np.ndarray:
    """A number for each image, equal for images that are not compared: int64 [N]."""
    numbers: dict[str, int] = {}
    groups = np.array([numbers.setdefault(group, len(numbers)) for group in images.groups], dtype=np.int64)
    for where in known:
        mine = groups[list(where)]
        groups[np.isin(groups, mine)] = mine[0]
    return groups


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

    def by_hash(
        self, queries: np.ndarray, others: np.ndarray, groups: np.ndarray
    ) -> Iterator[tuple[tuple[int, int], Guess]]:
        """Candidates whose hashes differ in a few bits, of the image as it is or mirrored."""
        for mirrored, own in ((False, self.hash), (True, self.mirrored)):
            for a, b in close_pairs(own[queries], self.hash[others], SAME_HASH):
                first, second = queries[a], others[b]
                kept = groups[first] != groups[second]
                for pair in zip(first[kept].tolist(), second[kept].tolist(), strict=True):
                    yield pair, Guess(mirrored)

    def by_features(
        self, queries: np.ndarray, others: np.ndarray, groups: np.ndarray
    ) -> Iterator[tuple[tuple[int, int], Guess]]:
        """Candidates with similar features in one of the views: for each query the nearest images of `others`."""
        if not len(queries) or not len(others):
            return
        compared = views()
        best = np.full((len(queries), len(others)), -1, np.float32)
        which = np.zeros(best.shape, np.uint8)
        features: dict[tuple[bool, float, float, float], np.ndarray] = {}
        for k, view in enumerate(compared):
            crop = view[2:]
            mine = self._features(queries, view.mirrored, *(crop if view.of_query else (1.0, 0.0, 0.0)))
            theirs = (1.0, 0.0, 0.0) if view.of_query else crop
            other = features.get((False, *theirs))
            if other is None:
                other = self._features(others, False, *theirs)
                if theirs[0] == 1:
                    features[(False, *theirs)] = other
            _keep_best(best, which, mine, other, k)
        best[groups[queries][:, None] == groups[others][None]] = -1
        nearest = min(NEAREST, len(others))
        order = np.argpartition(-best, nearest - 1, axis=1)[:, :nearest]
        for row, column in zip(*np.nonzero(np.take_along_axis(best, order, 1) > SIMILAR), strict=True):
            other_column = order[row, column]
            view = compared[which[row, other_column]]
            guess = Guess(view.mirrored, view.of_query, view.scale, view.across, view.down)
            yield (int(queries[row]), int(others[other_column])), guess

    def _features(
        self, where: np.ndarray, mirrored: bool, scale: float, across: float, down: float
    ) -> np.ndarray:
        bands = self.bands[where]
        found = _cells(bands[:, :, ::-1] if mirrored else bands, scale, across, down) @ self.whitening
        return _unit(found)


def _keep_best(best: np.ndarray, which: np.ndarray, mine: np.ndarray, theirs: np.ndarray, k: int) -> None:
    """Enters view `k` where it is the most similar so far, a block of rows at a time, which stays in the cache."""
    for start in range(0, len(mine), BLOCK):
        rows = slice(start, start + BLOCK)
        similar = mine[rows] @ theirs.T
        better = similar > best[rows]
        np.copyto(best[rows], similar, where=better)
        which[rows][better] = k


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
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    made: np.ndarray = np.where(length > 1e-4, rows / np.maximum(length, 1e-4), 0).astype(np.float32)
    return made


def _whitening(cells: np.ndarray) -> np.ndarray:
    """The map to principal components of equal variance, float32 [256,K]: what all images share, such as a dark spot in
    the middle, then counts no more than what tells them apart."""
    variances, vectors = np.linalg.eigh(cells.T @ cells / max(1, len(cells)))
    variances, vectors = variances[::-1][:KEPT], vectors[:, ::-1][:, :KEPT]
    scaled: np.ndarray = vectors / np.sqrt(np.maximum(variances, 0) + max(variances[0], 1e-6) * _RATIO)
    return scaled.astype(np.float32)


def _verified(images: AuditedImages, candidates: dict[tuple[int, int], Guess]) -> list[NearDuplicate]:
    """The candidates whose images agree in detail."""
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
    found = []
    for (first, second), guess in candidates.items():
        agree = agreement(fine[place[first]], fine[place[second]], guess)
        if agree >= AGREE:
            found.append(NearDuplicate(first, second, round(agree, 3), guess.mirrored))
    return sorted(found, key=lambda pair: (-pair.agreement, pair.first, pair.second))


def near_duplicate_findings(images: AuditedImages, found: Sequence[NearDuplicate]) -> Iterator[Finding]:
    """The finding about near-duplicates across parts, or a note that the images are too small to look for them."""
    size = images.pixels.shape[1]
    if size < SMALLEST:
        yield Finding(
            code="near_duplicates_not_checked",
            severity="note",
            sentence=f"near-duplicates were not looked for: at {size} px images of different lesions look "
            f"alike (a size of "
            f"{SMALLEST} px or more is needed)",
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
