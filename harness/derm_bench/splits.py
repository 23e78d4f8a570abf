"""Splits: which image is in which part. A split is planned, written to a file, and read in workers.

Order comes from SHA-256 ranks, not from a random generator, so that a subset is the same with all library versions.
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
    """Images that each have a label and a group, in parallel sequences."""

    @property
    def labels(self) -> Sequence[str]: ...

    @property
    def groups(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class PlannedSplit:
    """Selected images with the part of each. `digest` is that of the sorted CSV `image_id,group,label,split`."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    parts: tuple[str, ...]
    classes: tuple[str, ...]
    select_on_test: bool = False
    _counts: dict[float, Counter[str]] = field(default_factory=dict, compare=False, repr=False)

    @functools.cached_property
    def csv(self) -> bytes:
        """The split as a file; a split read back by `read_split` is equal."""
        text = io.StringIO()
        plain = csv.writer(text, lineterminator="\n")
        quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
        plain.writerow(("image_id", "group", "label", "split"))
        for row in zip(self.ids, self.groups, self.labels, self.parts, strict=True):
            # By itself, the csv module of Python 3.11 does not quote a carriage return, which it then cannot read.
            (quoted if any("\r" in field for field in row) else plain).writerow(row)
        return text.getvalue().encode()

    @functools.cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.csv).hexdigest()

    def indices(self, part: str, *, fraction: float = 1.0, classes: Sequence[str] | None = None) -> list[int]:
        """Positions of the images of a part, ordered by id. `fraction` selects a nested subset of train."""
        wanted = set(classes if classes is not None else self.classes)
        kept = self._subset(fraction) if part == "train" and fraction < 1 else None
        return [
            i
            for i, (where, label) in enumerate(zip(self.parts, self.labels, strict=True))
            if where == part and label in wanted and (kept is None or self.groups[i] in kept)
        ]

    def counts(self, part: str = "train", fraction: float = 1.0) -> Counter[str]:
        """Number of images of each class in a part."""
        if part != "train":
            return Counter(self.labels[i] for i in self.indices(part))
        if fraction not in self._counts:
            self._counts[fraction] = Counter(self.labels[i] for i in self.indices("train", fraction=fraction))
        return self._counts[fraction]

    def _subset(self, fraction: float) -> set[str]:
        """The groups of a nested subset of train: for each class its groups in rank order up to the share, at least
        one. Whether a group is in it depends on those before it in rank and not on the fraction, so that a larger
        fraction has all groups of a smaller one."""
        groups = group_counts(self, [i for i, part in enumerate(self.parts) if part == "train"])
        totals = Counter(self.labels[i] for i, part in enumerate(self.parts) if part == "train")
        kept: set[str] = set()
        before: Counter[str] = Counter()
        for group in rank_groups(groups, "fraction"):
            counts = groups[group]
            if any(
                not before[label] or before[label] + n / 2 <= fraction * totals[label]
                for label, n in counts.items()
            ):
                kept.add(group)
            before.update(counts)
        return kept


def read_split(content: bytes, classes: Sequence[str]) -> PlannedSplit:
    """Reads the CSV of `PlannedSplit.csv`."""
    rows = list(csv.reader(io.StringIO(content.decode(), newline="")))[1:]
    ids, groups, labels, parts = (tuple(column) for column in zip(*rows, strict=True))
    return PlannedSplit(ids, labels, groups, parts, tuple(classes))


def group_counts(images: Grouped, where: Iterable[int]) -> dict[str, Counter[str]]:
    """The images at the positions `where`, counted per group and then per class."""
    found: dict[str, Counter[str]] = {}
    for i in where:
        found.setdefault(images.groups[i], Counter())[images.labels[i]] += 1
    return found


def rank_groups(groups: Iterable[str], purpose: str) -> list[str]:
    """Sorts groups in an order that depends only on their names and on `purpose`."""
    return sorted(groups, key=lambda group: hashlib.sha256(f"{purpose}/{group}".encode()).digest())
