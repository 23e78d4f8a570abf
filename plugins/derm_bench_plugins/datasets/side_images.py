"""Files beside an image that are not further images of its class, told by their names: masks, and augmented copies."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

SPARE = "masks and overlays without an image of their own, or besides another mask"
AS_MASKS = "files used as masks of the images beside them"

MASK_ENDINGS = ("_segmentation", "_seg", "_mask", "_expert", "_lesion", "_gt", "_groundtruth")
"""Endings of the stem of a mask's name, in lower case, in the order in which one of several masks is chosen."""

_NOT_A_MASK = ("_superpixels", "_superpixel", "_overlay", "_contour", "_heatmap")
_LIKE_A_MASK = re.compile(f"(?:{'|'.join(MASK_ENDINGS + _NOT_A_MASK)})\\.[^./]*$", re.IGNORECASE)
_LIKE_A_COPY = re.compile(r"_(?:aug|[hv]?flip|mirror|rot|crop|blur|nois)|\.rf\.", re.IGNORECASE)
_IN_COPIES = ("_aug", "flip", "_mirror", "_rot", "_crop", "_blur", "_nois", ".rf.")
_AUGMENTED = re.compile(
    r"""^(?P<source>.+?)
    (?: _(?:aug|augmented|augmentation)(?:_?\w*)?             # 000_aug_1, 000_augmented
      | (?: _(?:[hv]?flip(?:ped)?|mirror(?:ed)?|rot(?:ated?)?_?\d*|crop(?:ped)?_?\d*|blur(?:red)?|noisy?) )+
      | (?<=_jpg)\.rf\.[0-9a-f]{16,}                          # Roboflow: 000_jpg.rf.0123456789abcdef
      | (?<=_png)\.rf\.[0-9a-f]{16,}
      | (?<=_jpeg)\.rf\.[0-9a-f]{16,} )$""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass
class Sides:
    """What the names say. `masks` are the masks by image; `spare` are images that show the mask of another one again
    (a second mask, superpixels); `sources` name the source of each augmented copy, which need not be an image."""

    masks: dict[str, str] = field(default_factory=dict)
    spare: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)


def any_contains(names: Sequence[str], words: Sequence[str]) -> bool:
    """Return whether any name contains one of the words, in any case. It is found in all names together, which takes a
    twentieth of the time of a search in each of hundreds of thousands."""
    together = "\n".join(names).casefold()
    return any(word in together for word in words)


def is_named_as_mask(name: str) -> bool:
    """Return whether a file has the name of a mask or of an overlay: `000_segmentation.png`."""
    return _LIKE_A_MASK.search(name) is not None


def in_folders_of_masks(names: Sequence[str]) -> list[str]:
    """Return the files with names of masks whose image is not in the same folder, but in another one."""
    named = [name for name in names if is_named_as_mask(name)]
    if not named:
        return []
    stems = {_stem(name).lower() for name in names}
    anywhere = {stem.rpartition("/")[2] for stem in stems}
    found = []
    for name in named:
        stem = _stem(name).lower()
        plain = next((stem.removesuffix(e) for e in MASK_ENDINGS if stem.endswith(e)), stem)
        if plain not in stems and plain.rpartition("/")[2] in anywhere:
            found.append(name)
    return found


def find_sides(names: Sequence[str], mask_folders: Iterable[str] = ()) -> Sides:
    """Return the masks and augmented copies among images. `names` are paths with `/`; those in `mask_folders` lie in a
    folder of masks, and belong to the image of the same stem, if there is one.

    A name counts as a mask or as an augmented copy only if its image is there too, in the same folder or, for a copy,
    anywhere; two copies of one absent source count, too.
    """
    in_folders = set(mask_folders)
    own = [name for name in names if name not in in_folders] if in_folders else names
    sides = Sides()
    candidates: dict[str, list[tuple[int, str]]] = defaultdict(list)
    likely = any_contains(own, MASK_ENDINGS + _NOT_A_MASK)
    named = [name for name in own if _LIKE_A_MASK.search(name)] if likely else []
    stems = {_stem(name).lower(): name for name in own} if named else {}
    for name in named:
        if (image := _image_of(name, stems, _NOT_A_MASK)) is not None:
            sides.spare.append(name)
        elif (image := _image_of(name, stems, MASK_ENDINGS)) is not None:
            candidates[image].append((_rank(name), name))
    _from_folders(sorted(in_folders), own, candidates, sides)
    for image, found in candidates.items():
        first, *others = [name for _, name in sorted(found)]
        sides.masks[image] = first
        sides.spare += others
    taken = {*sides.masks.values(), *sides.spare}
    sides.sources = _sources([name for name in own if name not in taken] if taken else own)
    return sides


def _stem(name: str) -> str:
    """A path without the suffix of its file. (All images have one.)"""
    return name.rpartition(".")[0]


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _last_stem(name: str) -> str:
    return _stem(name).rpartition("/")[2]


def _folders(name: str) -> set[str]:
    return set(name.split("/")[:-1])


def _image_of(name: str, stems: dict[str, str], endings: Sequence[str]) -> str | None:
    stem = _stem(name).lower()
    ending = next((ending for ending in endings if stem.endswith(ending)), None)
    return stems.get(stem.removesuffix(ending)) if ending else None


def _rank(name: str) -> int:
    stem = _stem(name).lower()
    return next((k for k, ending in enumerate(MASK_ENDINGS) if stem.endswith(ending)), len(MASK_ENDINGS))


def _from_folders(
    masks: Sequence[str], images: Sequence[str], candidates: dict[str, list[tuple[int, str]]], sides: Sides
) -> None:
    """Add the masks of folders. The image is the one of the same stem that shares the most folders with the mask."""
    by_stem: dict[str, list[str]] = defaultdict(list)
    for name in images if masks else ():
        by_stem[_last_stem(name).lower()].append(name)
    for mask in masks:
        stem = _last_stem(mask).lower()
        plain = next((stem.removesuffix(e) for e in MASK_ENDINGS if stem.endswith(e)), stem)
        found = by_stem.get(stem) or by_stem.get(plain, [])
        shared = [len(_folders(mask) & _folders(name)) for name in found]
        best = [name for name, n in zip(found, shared, strict=True) if n == max(shared)]
        if len(best) == 1:
            candidates[best[0]].append((len(MASK_ENDINGS) + 1, mask))
        else:
            sides.spare.append(mask)


def _sources(names: Sequence[str]) -> dict[str, str]:
    """The source of each augmented copy: the name of an image, or a stem that several copies share."""
    copies: dict[str, list[str]] = defaultdict(list)
    for name in names if any_contains(names, _IN_COPIES) else ():
        if _LIKE_A_COPY.search(name) and (match := _AUGMENTED.match(_last_stem(name))):
            copies[match["source"].lower()].append(name)
    images: dict[str, list[str]] = defaultdict(list)
    for name in names if copies else ():
        images[_last_stem(name).lower()].append(name)
    found = {}
    for source, made in copies.items():
        for name in made:
            present = _nearest(name, images.get(source, []))
            if present is not None:
                found[name] = present
            elif len(made) > 1:
                found[name] = source
    return found


def _nearest(name: str, images: Sequence[str]) -> str | None:
    """The image among several of one stem whose path shares the most folders; None if two do equally, or if it is in
    another class (the last folder has another name)."""
    folder = _folder(name)
    alike = [image for image in images if _folder(image).rpartition("/")[2] == folder.rpartition("/")[2]]
    same = [image for image in alike if _folder(image) == folder]
    found = same or alike
    return found[0] if len(found) == 1 else None
