"""The layout of a tree of class folders, from the paths of its images: where the classes are, and which folders are
splits. It works on names alone, so that a wrong guess is refused with the names that it was made from."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from derm_bench.errors import UserError
from derm_bench_plugins.datasets import files
from derm_bench_plugins.datasets.side_images import MASK_ENDINGS, is_named_as_mask

Parts = tuple[str, ...]
"""The parts of a path below the root; the last one is the file."""

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "tr": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "validate": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "tst": "test",
    "holdout": "test",
}
_FILLERS = {
    "set",
    "data",
    "dataset",
    "dir",
    "folder",
    "images",
    "image",
    "imgs",
    "img",
    "split",
    "samples",
    "input",
}
_MADE = {
    "synthetic",
    "synthetics",
    "generated",
    "fake",
    "fakes",
    "gan",
    "augmented",
    "augmentation",
    "augmentations",
}
_MADE |= {"aug", "augs"}
_MASKS = {"mask", "masks", "segmentation", "segmentations", "groundtruth", "gt", "annotations", "labels"}


def split_of(name: str) -> str:
    """Return the split that a folder is named after (`train`, `val`, `test`), or "": `Training`, `train_set`,
    `test-data`, `valid2` and the like are splits, `trainee` is none."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
    if len(words) == 1:  # trainset, testdata
        glued = [word for word in _SPLIT_WORDS for filler in _FILLERS if words[0] == word + filler]
        words = glued[:1] or words
    found = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    known = all(word in _SPLIT_WORDS or word in _FILLERS for word in words)
    return found.pop() if known and len(found) == 1 else ""


def holds_made(name: str) -> bool:
    """Return whether a folder is named after images that were made from others: `synthetic`, `augmented`."""
    words = set(re.findall(r"[a-z]+", name.lower()))
    return bool(words & _MADE) and words <= _MADE | _FILLERS


def holds_masks(name: str) -> bool:
    """Return whether a folder is named after masks: `masks`, `segmentation`."""
    words = set(re.findall(r"[a-z]+", name.lower()))
    return bool(words & _MASKS) and words <= _MASKS | _FILLERS


@dataclass(frozen=True)
class Layout:
    """Where the parts of a path lie. `prefix` is the folder below the root that contains splits or classes; `split`
    and `label` are positions in the path (`split` is None without splits); `splits` has the split of each folder.
    `outside` are images that are in no class folder, `made` and `masks` those in folders named after such images."""

    prefix: Parts = ()
    split: int | None = None
    label: int = 0
    splits: Mapping[str, str] = field(default_factory=dict)
    outside: Sequence[Parts] = ()
    made: Sequence[Parts] = ()
    masks: Sequence[Parts] = ()


def find_layout(images: Sequence[Parts], where: str, splits: Mapping[str, str] | None) -> Layout:
    """Return the layout of a tree. `where` names the root in messages; `splits` are the folders that are splits, as the
    user states them; None looks for them.

    Raises UserError if folders look like splits, but not surely, and if splits and classes are side by side.
    """
    prefix, below, outside, of_masks = _descend(images, splits)
    depth = len(prefix)
    inner = {
        name: {parts[depth + 1] for parts in found if len(parts) > depth + 2} for name, found in below.items()
    }
    named = splits if splits is not None else {name: split_of(name) for name in below if split_of(name)}
    tops = {name: named[name] for name in below if name in named}
    if splits:
        _refuse_unknown(splits, [*prefix, *below], where)
    masks = _shadows(below)
    if tops:
        top = _splits_on_top(tops, below, inner, masks, where)
        flat = [parts for name in tops for parts in below[name] if len(parts) == depth + 2]
        layout = Layout(prefix, depth, depth + 1, top, [*outside, *flat])
        return _with_sides(layout, below, masks, of_masks)
    classes = [name for name in below if name not in masks]
    if splits is None:
        if classes and all(inner[name] and all(map(split_of, inner[name])) for name in classes):
            found = {folder: split_of(folder) for name in classes for folder in inner[name]}
            flat = [parts for name in classes for parts in below[name] if len(parts) == depth + 2]
            layout = Layout(prefix, depth + 1, depth, found, [*outside, *flat])
            return _with_sides(layout, below, masks, of_masks)
        _refuse_alike({name: inner[name] for name in classes}, where)
    return _with_sides(Layout(prefix, None, depth, {}, outside), below, masks, of_masks)


def _by_folder(images: Sequence[Parts], depth: int) -> dict[str, list[Parts]]:
    """The images in folders, by the folder at this depth."""
    below: dict[str, list[Parts]] = defaultdict(list)
    for parts in images:
        if len(parts) > depth + 1:
            below[parts[depth]].append(parts)
    return below


def _shadows(below: Mapping[str, Sequence[Parts]]) -> list[str]:
    """The folders named after masks of which most files have the name of an image in another folder."""
    named = [
        name
        for name in below
        if holds_masks(name) or all(is_named_as_mask(parts[-1]) for parts in below[name])
    ]
    if not named or len(named) == len(below):
        return []
    images = {_plain_stem(parts[-1]) for name in below if name not in named for parts in below[name]}
    return [
        name
        for name in named
        if 2 * sum(_plain_stem(parts[-1]) in images for parts in below[name]) >= len(below[name])
    ]


def _plain_stem(name: str) -> str:
    """The stem of a file, without the ending of a mask, in lower case."""
    stem = name.rpartition(".")[0].lower()
    return next((stem.removesuffix(ending) for ending in MASK_ENDINGS if stem.endswith(ending)), stem)


def _with_sides(
    layout: Layout, below: Mapping[str, list[Parts]], masks: Sequence[str], of_masks: Sequence[Parts]
) -> Layout:
    """The layout with the images below the top folders `masks`, and with those in folders inside of classes, or beside
    splits, that are named after masks or made images."""
    shown = [*of_masks, *(parts for name in masks for parts in below[name])]
    made: list[Parts] = []
    first = max(layout.label, layout.split or 0) + 1
    for name, found in below.items():
        if name in masks:
            continue
        if layout.split == len(layout.prefix) and name not in layout.splits:
            made += [parts for parts in found if holds_made(name)]
            continue
        for parts in [parts for parts in found if len(parts) > first + 1]:  # hardly any
            folders = parts[first:-1]
            if any(map(holds_made, folders)):
                made.append(parts)
            elif any(map(holds_masks, folders)):
                shown.append(parts)
    return replace(layout, made=made, masks=shown)


def _descend(
    images: Sequence[Parts], splits: Mapping[str, str] | None
) -> tuple[Parts, dict[str, list[Parts]], list[Parts], list[Parts]]:
    """The folder below which the tree branches, the images in each of its folders, the images that are directly in a
    folder on the way, and the masks in folders on the way."""
    prefix: Parts = ()
    outside: list[Parts] = []
    of_masks: list[Parts] = []
    inside = list(images)
    while True:
        depth = len(prefix)
        outside += [parts for parts in inside if len(parts) == depth + 1]
        below = _by_folder(inside, depth)
        masks = _shadows(below)
        tops = [name for name in below if name not in masks]
        top = tops[0] if tops else ""
        is_split = (top in splits) if splits is not None else bool(split_of(top))
        if len(tops) != 1 or is_split or not any(len(parts) > depth + 2 for parts in below[top]):
            return prefix, below, outside, of_masks
        of_masks += [parts for name in masks for parts in below[name]]
        prefix, inside = (*prefix, top), below[top]


def _refuse_unknown(splits: Mapping[str, str], folders: Sequence[str], where: str) -> None:
    unknown = [name for name in splits if name not in folders]
    if unknown:
        raise UserError(
            f"{where} has no folder '{unknown[0]}' with images",
            path=("splits",),
            hint=f"its folders with images are {files.some(folders, 10)}",
        )


def _splits_on_top(
    tops: Mapping[str, str],
    below: Mapping[str, list[Parts]],
    inner: Mapping[str, set[str]],
    masks: Sequence[str],
    where: str,
) -> dict[str, str]:
    """The folders that are splits, with the split of each: those of `tops` that have class folders in them. Raises
    UserError if none has, and if there are other folders of images beside them."""
    filled = {name: split for name, split in tops.items() if inner[name]}
    if not filled:
        raise UserError(
            f"the folders {files.some(tops)} in {where} are named after splits, but have no class folders in them",
            hint="expected train|val|test/class/*; `splits: {}` states that they are classes",
        )
    strays = [name for name in below if name not in tops and name not in masks and not holds_made(name)]
    if strays:
        ways = "use either class/* or train|val|test/class/*"
        shared = [name for name in strays if any(len(inner[name] & inner[top]) > 1 for top in filled)]
        if shared:
            pairs = [*filled.items(), *((name, "PART") for name in shared)]
            written = ", ".join(f"{name}: {part}" for name, part in pairs)
            ways = f"name all splits: `splits: {{{written}}}`, where PART is train, val or test"
        raise UserError(
            f"{where} contains both split folders ({files.some(filled)}) and other folders of images "
            f"({files.some(strays)})",
            hint=ways,
        )
    return filled


def _refuse_alike(inner: Mapping[str, set[str]], where: str) -> None:
    """Raise UserError if folders contain folders of the same names: they are splits, folds or sources, not classes."""
    plain = {
        name: {folder for folder in folders if not (holds_masks(folder) or holds_made(folder))}
        for name, folders in inner.items()
    }
    names = sorted(name for name in plain if len(plain[name]) > 1)
    for k, one in enumerate(names):
        for other in names[k + 1 :]:
            shared = plain[one] & plain[other]
            if len(shared) > 1 and 2 * len(shared) >= min(len(plain[one]), len(plain[other])):
                raise UserError(
                    f"the folders {one} and {other} in {where} contain folders of the same names "
                    f"({files.some(shared)}), so they look like splits and not like classes",
                    hint=f"state what they are: `splits: {{{one}: train, {other}: test}}`; "
                    "`splits: {}` states that they are classes",
                )
