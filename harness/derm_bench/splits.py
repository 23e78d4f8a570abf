"""Splits as data: the part of each image, as planned, written to a file and read in a worker.

The order comes from SHA-256 ranks and not from a random generator, so a subset is the same for every library version.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

PARTS = ("train", "val", "test", "reserve")


class Grouped(Protocol):
    """Images with their labels and groups in parallel sequences."""

    @property
    def labels(self) -> Sequence[str]: ...

    @property
    def groups(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class PlannedSplit:
    """A selection of images with the part of each. `digest` is the digest of the CSV `image_id,group,label,split`,
    sorted by image id."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    parts: tuple[str, ...]
    classes: tuple[str, ...]
    select_on_test: bool = False
    _counts: dict[float, Counter[str]] = field(default_factory=dict, compare=False, repr=False)

    @functools.cached_property
    def csv(self) -> bytes:
        """The split as the content of a CSV file, from which `read_split` restores an equal split."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("image_id", "group", "label", "split"))
        writer.writerows(zip(self.ids, self.groups, self.labels, self.parts, strict=True))
        return text.getvalue().encode()

    @functools.cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.csv).hexdigest()

    def indices(self, part: str, *, fraction: float = 1.0, classes: Sequence[str] | None = None) -> list[int]:
        """The positions of the images of a part, in order of id. `fraction` selects a nested subset of train."""
        wanted = set(classes if classes is not None else self.classes)
        kept = self._subset(fraction) if part == "train" and fraction < 1 else None
        return [
            i
            for i, (where, label) in enumerate(zip(self.parts, self.labels, strict=True))
            if where == part and label in wanted and (kept is None or self.groups[i] in kept)
        ]

    def counts(self, part: str = "train", fraction: float = 1.0) -> Counter[str]:
        """The number of images per class in a part."""
        if part != "train":
            return Counter(self.labels[i] for i in self.indices(part))
        if fraction not in self._counts:
            self._counts[fraction] = Counter(self.labels[i] for i in self.indices("train", fraction=fraction))
        return self._counts[fraction]

    def _subset(self, fraction: float) -> set[str]:
        """The groups of a nested subset of train: for each class, groups in rank order up to its share, at least one
        group."""
        groups = group_counts(self, [i for i, part in enumerate(self.parts) if part == "train"])
        totals = Counter(self.labels[i] for i, part in enumerate(self.parts) if part == "train")
        kept: set[str] = set()
        have: Counter[str] = Counter()
        for group in rank_groups(groups, "fraction"):
            counts = groups[group]
            if any(have[label] + n / 2 <= max(1, fraction * totals[label]) for label, n in counts.items()):
                kept.add(group)
                have.update(counts)
        return kept


def read_split(content: bytes, classes: Sequence[str]) -> PlannedSplit:
    """Reads the CSV that `PlannedSplit.csv` wrote."""
    rows = list(csv.reader(io.StringIO(content.decode())))[1:]
    ids, groups, labels, parts = (tuple(column) for column in zip(*rows, strict=True))
    return PlannedSplit(ids, labels, groups, parts, tuple(classes))


def group_counts(images: Grouped, where: Iterable[int]) -> dict[str, Counter[str]]:
    """The images at the positions `where`, counted per group and then per class."""
    found: dict[str, Counter[str]] = {}
    for i in where:
        found.setdefault(images.groups[i], Counter())[images.labels[i]] += 1
    return found


def rank_groups(groups: Iterable[str], purpose: str) -> list[str]:
    """The groups in an order that depends only on their names and the purpose."""
    return sorted(groups, key=lambda group: hashlib.sha256(f"{purpose}/{group}".encode()).digest())
