"""Warnings that ids, labels, groups and splits justify before anything runs: few images of a class, and groups that
cannot be lesions or patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from derm_bench.matrix.model import Cell
from derm_bench.plain_text import printable
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.kinds import BATCH_SIZE
from derm_bench.plan.split import Selection
from derm_bench.splits import group_counts

FEW_TRAINED, FEW_TESTED = 10, 5
"""Fewer images of a class than these are very few, to train on or to test with."""
LARGE_GROUP, LARGE_SHARE = 10, 0.1
"""A group of at least so many images and more than this share of all images is unusual for a lesion or patient."""


def warnings_of_groups(label: str, selection: Selection) -> Iterator[str]:
    """Yield sentences about groups with images of several classes, and about groups with a large part of the images."""
    if selection.groups == selection.ids:
        return
    counts = group_counts(selection, range(len(selection.ids)))
    several = [group for group, of in counts.items() if len(of) > 1]
    if several:
        first = several[0]
        shown = ", ".join(f"{name} {n}" for name, n in sorted(counts[first].items()))
        yield (
            f"{label}: {_counted(len(several), 'group')} of {len(counts):,} contain images of several classes, such as "
            f"'{printable(first[:60])}' ({shown}): the groups may be wrong, or labels in conflict"
        )
    for group, of in counts.items():
        n, total = of.total(), len(selection.ids)
        if n >= LARGE_GROUP and n > LARGE_SHARE * total:
            yield (
                f"{label}: the group '{printable(group[:60])}' has {n:,} of {total:,} images, more than a tenth: a "
                "value that stands for unknown is no group"
            )


def warnings_of_sizes(data: DataPlanner, cells: Sequence[Cell]) -> Iterator[str]:
    """Yield sentences for each data set and training fraction of the cells, and of the runs of generators: one with the
    classes that have very few training images, one for test images, and one with the classes smaller than a batch."""
    seeds: dict[tuple[str, float], set[int]] = {}
    for cell in cells:
        seeds.setdefault((cell.dataset, cell.train_fraction), set()).add(cell.split_seed)
    for (label, fraction), used in seeds.items():
        name = label if fraction == 1 else f"{label}@{fraction:g}"
        splits = [data.split(label, seed) for seed in sorted(used)]
        trained = _least(splits[0].classes, [split.counts("train", fraction) for split in splits])
        tested = _least(splits[0].classes, [split.counts("test") for split in splits])
        few = {of: n for of, n in trained.items() if n < FEW_TRAINED}
        if few:
            yield f"{name}: very few training images: {_shown(few)}; results depend on which images these are"
        rare = {of: n for of, n in tested.items() if n < FEW_TESTED}
        if rare:
            worth = 100 / min(rare.values())
            yield f"{name}: very few test images: {_shown(rare)}; one image is up to {worth:.0f} points of a recall"
        batch, owner = _largest_batch(data, label, cells)
        small = {of: n for of, n in trained.items() if n < batch}
        if small:
            yield (
                f"{name}: classes with fewer training images than a batch of {owner} ({batch}): {_shown(small)}; what "
                "is fitted on such a class alone sees images several times in one batch"
            )


def _least(classes: Sequence[str], counts: Sequence[Counter[str]]) -> dict[str, int]:
    """The smallest number of images of each class in any split that has some."""
    found = {name: min(of[name] for of in counts) for name in classes}
    return {name: n for name, n in found.items() if n}


def _largest_batch(data: DataPlanner, label: str, cells: Sequence[Cell]) -> tuple[int, str]:
    """The largest batch of a classifier or generator that is run on a data set, and its label."""
    matrix = data.matrix
    used = {cell.classifier for cell in cells if cell.dataset == label}
    found = [(entry.options.batch_size, entry.label) for entry in matrix.classifiers if entry.label in used]
    arms = {cell.strategy for cell in cells if cell.dataset == label}
    for strategy in matrix.strategies:
        if strategy.generator is not None and strategy.name in arms:
            spec = data.book.plugins.get("generator", strategy.generator.name)
            if spec.trains:
                batch = getattr(strategy.generator.options, spec.batch_option, BATCH_SIZE)
                found.append((batch, strategy.generator.label))
    return max(found, default=(0, ""))


def _shown(counts: Mapping[str, int]) -> str:
    """`df 3, vasc 20`, from the smallest; at most ten classes."""
    listed = sorted(counts.items(), key=lambda item: item[1])
    more = f" and {len(listed) - 10} more" if len(listed) > 10 else ""
    return ", ".join(f"{name} {n:,}" for name, n in listed[:10]) + more


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("s" if n > 1 else "")
