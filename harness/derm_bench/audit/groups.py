"""Groups (lesions, patients): across parts of the split, of several labels, and much too large ones."""

from __future__ import annotations

from collections.abc import Iterator

from derm_bench.audit.findings import Finding, bounded, counted
from derm_bench.audit.images import AuditedImages
from derm_bench.splits import PARTS

LARGE_SHARE, LARGE_COUNT = 0.1, 20
"""A group is large if it has more than this share of all images, and at least this many."""


def group_findings(images: AuditedImages) -> Iterator[Finding]:
    """The findings about groups of two or more images."""
    members: dict[str, list[int]] = {}
    for i, group in enumerate(images.groups):
        members.setdefault(group, []).append(i)
    several = {group: where for group, where in members.items() if len(where) > 1}
    across = [where for where in several.values() if len({images.parts[i] for i in where}) > 1]
    if across:
        there = {images.parts[i] for where in across for i in where}
        parts = tuple(part for part in PARTS if part in there)
        yield Finding(
            code="group_across_splits",
            severity="stop",
            permit="ungrouped_split",
            sentence=f"{counted(len(across), 'group')} (lesions or patients) with "
            f"{counted(sum(map(len, across)), 'image')} across {', '.join(parts)}: other images of what is tested were "
            "trained on. Split by group with split: {method: random, group: auto}",
            counts={"groups": len(across), "images": sum(map(len, across)), "of_groups": len(several)},
            images=bounded(images.names(where) for where in across),
            parts=parts,
        )
    torn = [where for where in several.values() if len({images.labels[i] for i in where}) > 1]
    if torn:
        yield Finding(
            code="label_conflict_in_group",
            severity="warning",
            sentence=f"{counted(len(torn), 'group')} with {counted(sum(map(len, torn)), 'image')} "
            f"{'has' if len(torn) == 1 else 'have'} images of several labels: if a group is a lesion, one of "
            f"them is wrong",
            counts={"groups": len(torn), "images": sum(map(len, torn))},
            images=bounded(images.names(where) for where in torn),
        )
    large = {
        group: where
        for group, where in several.items()
        if len(where) >= LARGE_COUNT and len(where) > LARGE_SHARE * len(images)
    }
    if large:
        group, where = max(large.items(), key=lambda item: len(item[1]))
        yield Finding(
            code="large_group",
            severity="warning",
            sentence=f"the group '{group[:60]}' has {len(where):,} of {len(images):,} images: such a group is "
            f"rarely one "
            "lesion or patient, and it distorts the split. A missing value may have been read as a name",
            counts={"groups": len(large), "images": sum(map(len, large.values()))},
            images=bounded([images.names(where)]),
        )
