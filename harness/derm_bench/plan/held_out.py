"""The contents of images that no training of a cell may see."""

from __future__ import annotations

from derm_bench.fingerprint import UNREADABLE
from derm_bench.plan.data import DataPlanner


def held_out(data: DataPlanner, dataset: str, split_seed: int) -> dict[str, str]:
    """The ids of the validation and test images of a split, those of external test sets included, by content digest.
    Images that cannot be read have no content."""
    found = contents(data, dataset, split_seed, ("val", "test"))
    for (tested, _), label in data.plan.tests.items():
        if tested == dataset:
            found |= contents(data, label, 0, ("test",))
    return found


def contents(data: DataPlanner, dataset: str, split_seed: int, parts: tuple[str, ...]) -> dict[str, str]:
    """The ids of the images in some parts of a split, by content digest."""
    split = data.split(dataset, split_seed)
    digests = data.fingerprints[dataset]
    chosen = [name for name, part in zip(split.ids, split.parts, strict=True) if part in parts]
    return {digests[name]: name for name in chosen if digests[name] != UNREADABLE}
