"""Images from elsewhere (an external test set, extra images that a generator is fitted on) that show what the data set
has in parts where they must not be: near-duplicates, and groups of the same name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from derm_bench.audit.findings import Finding, bounded, counted
from derm_bench.audit.images import AuditedImages
from derm_bench.audit.near_duplicates import (
    SMALLEST,
    NearDuplicate,
    Progress,
    near_duplicates,
)
from derm_bench.audit.repeats import copies

_PART_OF_OWN, _PART_OF_OTHERS = (
    "train",
    "test",
)  # any two parts that differ: pairs within one are not compared


@dataclass(frozen=True)
class Outside:
    """How the images from elsewhere are used. avoided: the parts of the data set whose images they must not show.
    words: what they are, at the beginning of a sentence. harm: what follows if they do."""

    avoided: Sequence[str]
    words: str
    harm: str


TESTED = Outside(
    ("train", "val", "reserve"),
    "the external test set",
    "what is tested on was trained on, or was used to choose a model",
)
FITTED = Outside(
    ("val", "test"),
    "the extra images that a generator is fitted on",
    "the generator has seen what its images are tested on",
)


def outside_findings(
    own: AuditedImages,
    others: AuditedImages,
    use: Outside,
    progress: Progress = lambda done, total: None,
    threads: int = 1,
) -> list[Finding]:
    """What images from elsewhere share with those parts of the data set that they must avoid. Identical pixels are
    not reported here: they are refused where the images are used."""
    kept = [i for i, part in enumerate(own.parts) if part in use.avoided]
    return [*_groups(own, others, kept, use), *_near(own, others, kept, use, progress, threads)]


def _groups(
    own: AuditedImages, others: AuditedImages, kept: Sequence[int], use: Outside
) -> Iterator[Finding]:
    """The finding about groups of the same name. The name of an image that stands alone and bare numbers are not
    compared, because data sets that have nothing in common use the same ones."""
    members: dict[str, list[int]] = {}
    for i in kept:
        members.setdefault(own.groups[i], []).append(i)
    shared: dict[str, list[int]] = {}
    for i, group in enumerate(others.groups):
        if group in members and group != others.ids[i] and not group.isdecimal():
            shared.setdefault(group, []).append(i)
    if shared:
        n = sum(map(len, shared.values()))
        yield Finding(
            code="shared_groups",
            severity="warning",
            sentence=f"{use.words}: {counted(n, 'image')} of {counted(len(shared), 'group')} (lesions or patients) "
            f"whose names the data set has in {_parts_of(own, [i for name in shared for i in members[name]])}, too: "
            f"if both come from one archive, {use.harm}",
            counts={"groups": len(shared), "images": n},
            images=bounded(
                [*(own.ids[i] for i in members[name]), *(others.ids[i] for i in where)]
                for name, where in shared.items()
            ),
        )


def _near(
    own: AuditedImages,
    others: AuditedImages,
    kept: Sequence[int],
    use: Outside,
    progress: Progress,
    threads: int,
) -> Iterator[Finding]:
    size, other_size = own.pixels.shape[1], others.pixels.shape[1]
    if size != other_size or size < SMALLEST:
        yield Finding(
            code="near_duplicates_not_checked",
            severity="note",
            sentence=f"{use.words}: near-duplicates were not looked for, "
            f"as images of {SMALLEST} px or more and of one size are needed (here {size} px and {other_size} px)",
        )
        return
    both = joined(own, others, kept)
    found = near_duplicates(both, copies(both), progress, threads)
    if found:
        yield _near_finding(own, others, kept, found, use)


def _near_finding(
    own: AuditedImages,
    others: AuditedImages,
    kept: Sequence[int],
    found: Sequence[NearDuplicate],
    use: Outside,
) -> Finding:
    pairs = [(kept[min(pair[:2])], max(pair[:2]) - len(kept)) for pair in found]
    torn = sum(own.labels[i] != others.labels[k] for i, k in pairs)
    return Finding(
        code="near_duplicates_outside",
        severity="warning",
        sentence=f"{use.words}: {counted(len({k for _, k in pairs}), 'image')} of {len(others):,} are versions of "
        f"images that the data set has in {_parts_of(own, [i for i, _ in pairs])}, or show the same lesion: "
        f"{use.harm}. Look at them, and leave out those that belong together",
        counts={"pairs": len(pairs), "images": len({k for _, k in pairs}), "different_labels": torn},
        images=bounded([own.ids[i], others.ids[k]] for i, k in pairs),
        parts=tuple(sorted({own.parts[i] for i, _ in pairs})),
        values={"agreement": [pair.agreement for pair in found[:200]]},
    )


def _parts_of(own: AuditedImages, where: Sequence[int]) -> str:
    there = {own.parts[i] for i in where}
    return ", ".join(part for part in ("train", "val", "test", "reserve") if part in there)


def joined(own: AuditedImages, others: AuditedImages, kept: Sequence[int]) -> AuditedImages:
    """Some of the data set's images, followed by all others, as two parts. Groups of both are different ones, so that
    all pairs are compared."""
    mine = _Stacked(own.pixels, others.pixels)
    rows = np.concatenate([own.rows[list(kept)], others.rows + len(own.pixels)]).astype(np.int64)

    def both(name: str) -> list[str]:
        return [*(getattr(own, name)[i] for i in kept), *getattr(others, name)]

    return replace(
        own,
        ids=both("ids"),
        labels=both("labels"),
        groups=[*(f"own {own.groups[i]}" for i in kept), *(f"other {name}" for name in others.groups)],
        parts=[_PART_OF_OWN] * len(kept) + [_PART_OF_OTHERS] * len(others),
        pixels=mine,  # type: ignore[arg-type]
        rows=rows,
        pixel_digests=both("pixel_digests"),
        file_digests=both("file_digests"),
        attributes={},
        files={},
    )


class _Stacked:
    """Two arrays uint8 [N,S,S,3] as if one followed the other, of which only the rows asked for are read."""

    def __init__(self, first: np.ndarray, second: np.ndarray) -> None:
        self.first, self.second = first, second
        self.shape = (len(first) + len(second), *first.shape[1:])

    def __getitem__(self, rows: Any) -> np.ndarray:
        where = np.atleast_1d(np.asarray(rows))
        out = np.empty((len(where), *self.shape[1:]), np.uint8)
        low = where < len(self.first)
        out[low] = self.first[where[low]]
        out[~low] = self.second[where[~low] - len(self.first)]
        return out


USES: Mapping[str, Outside] = {"test": TESTED, "extra": FITTED}
