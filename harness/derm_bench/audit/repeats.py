"""Images that are exactly the same: files with equal bytes, and different files with equal pixels at the stored
size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from derm_bench.audit.findings import Finding, bounded, counted
from derm_bench.audit.images import AuditedImages
from derm_bench.fingerprint import UNREADABLE


def copies(images: AuditedImages) -> list[tuple[int, ...]]:
    """Positions of the images in each set of copies, two or more each: equal files or equal pixels."""
    first: dict[tuple[str, str], int] = {}
    parent = list(range(len(images)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for kind, digests in (("file", images.file_digests), ("pixels", images.pixel_digests)):
        for i, digest in enumerate(digests):
            if digest and digest != UNREADABLE:
                known = first.setdefault((kind, digest), i)
                if known != i:
                    parent[root(i)] = root(known)
    found: dict[int, list[int]] = {}
    for i in range(len(images)):
        found.setdefault(root(i), []).append(i)
    return [tuple(where) for where in found.values() if len(where) > 1]


def repeats(images: AuditedImages) -> Iterator[Finding]:
    """The findings about copies: across parts of the split, with different labels, and the others."""
    found = copies(images)
    across = [where for where in found if len({images.parts[i] for i in where}) > 1]
    torn = [where for where in found if len({images.labels[i] for i in where}) > 1]
    alike = [where for where in found if where not in set(across) and where not in set(torn)]
    if across:
        parts = _parts(images, across)
        yield Finding(
            code="duplicates_across_splits",
            severity="stop",
            permit="duplicates_across_splits",
            sentence=f"{_sets(images, across)} across {', '.join(parts)}: what is tested on was trained on. "
            f"Keep one of "
            "each with clean: {duplicates: drop}, or give copies one group",
            counts=_counts(images, across),
            images=bounded(images.names(where) for where in across),
            parts=parts,
        )
    if torn:
        yield Finding(
            code="conflicting_labels",
            severity="warning",
            sentence=f"{_sets(images, torn)} under different labels ({_labels(images, torn)}): at least one of each is "
            "labelled wrongly",
            counts=_counts(images, torn),
            images=bounded(images.names(where) for where in torn),
            parts=_parts(images, torn),
        )
    if alike:
        together = sum(len({images.groups[i] for i in where}) == 1 for where in alike)
        yield Finding(
            code="duplicates",
            severity="warning",
            sentence=f"{_sets(images, alike)} within one part of the split and under one label, of which "
            f"{counted(together, 'set is', 'sets are')} of one group: they count more than once",
            counts=_counts(images, alike) | {"of_one_group": together},
            images=bounded(images.names(where) for where in alike),
            parts=_parts(images, alike),
        )


def _sets(images: AuditedImages, found: Sequence[Sequence[int]]) -> str:
    files = sum(len({images.file_digests[i] for i in where}) == 1 for where in found)
    total = sum(map(len, found))
    how = f"{files:,} of equal files" if files else "none of equal files, all of equal pixels"
    return f"{counted(total, 'image')} in {counted(len(found), 'set')} of identical images ({how})"


def _labels(images: AuditedImages, found: Sequence[Sequence[int]]) -> str:
    pairs = {" and ".join(sorted({images.labels[i] for i in where})) for where in found}
    shown = sorted(pairs)[:4]
    return "; ".join(shown) + (f"; and {len(pairs) - 4} more" if len(pairs) > 4 else "")


def _counts(images: AuditedImages, found: Sequence[Sequence[int]]) -> dict[str, int]:
    return {
        "sets": len(found),
        "images": sum(map(len, found)),
        "sets_of_equal_files": sum(len({images.file_digests[i] for i in where}) == 1 for where in found),
    }


def _parts(images: AuditedImages, found: Sequence[Sequence[int]]) -> tuple[str, ...]:
    there = {images.parts[i] for where in found for i in where}
    return tuple(part for part in ("train", "val", "test", "reserve") if part in there)
