"""figaro1k: 1,050 photographs of hair in seven styles, with masks of the hair (Svanera et al., ICIP 2016)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.specs import DatasetDescription, Note
from derm_bench_plugins.datasets import files
from derm_bench_plugins.datasets.files import Catalogue
from derm_bench_plugins.datasets.published import About, Disk, Published, stem

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.faces import Figaro1kOptions

STYLES = ("straight", "wavy", "curly", "kinky", "braids", "dreadlocks", "short")
A_STYLE = 150
FRAME = re.compile(r"^(Frame0*(\d+))-org$", re.IGNORECASE)
MASK = re.compile(r"^(Frame\d+)-gt\.(pbm|png|jpg|bmp)$", re.IGNORECASE)
SPLITS = {"training": "train", "testing": "test", "train": "train", "test": "test"}
ABOUT = About(
    "Figaro1k",
    source="http://projects.i-ctm.eu/it/progetto/figaro-1k",
    layout="Original/Training/ and Original/Testing/ with Frame00001-org.jpg to Frame01050-org.jpg, and GT/ with masks",
    citation="Svanera, M. et al. Figaro, hair detection and segmentation in the wild. ICIP (2016).",
)


def make(options: Figaro1kOptions, task: Task) -> Published:
    """Figaro1k. The style follows from the number of the frame: 1-150 straight to 901-1050 short. It has no groups."""
    return Published(options, task, scan)


def scan(options: Figaro1kOptions) -> Catalogue:
    """List the root. Ids are `Frame00001`; masks are those of GT/, if there are any."""
    disk = Disk(options.root, ABOUT)
    masks, stray = _masks(disk)
    images: dict[str, str] = {}
    labels, splits, strangers = {}, {}, []
    for path in disk.images.paths:
        match = FRAME.match(stem(path.rpartition(os.sep)[2]))
        if match is None:
            if path not in masks.values():
                strangers.append(disk.images.name(path))
            continue
        name, number = match[1], int(match[2])
        if name in images:
            raise UserError(f"{disk.root} has two files of {name}: {images[name]} and {path}")
        images[name], labels[name] = path, _style(disk, name, number)
        splits[name] = SPLITS.get(Path(path).parent.name.lower(), "")
    if not images:
        raise disk.absent("no Original/Training/Frame00001-org.jpg or another frame")
    ids = sorted(images)
    kept = {name: masks[name] for name in ids if name in masks}
    given = [splits[name] for name in ids]
    description = DatasetDescription(
        ids=ids,
        labels=[labels[name] for name in ids],
        classes=[style for style in STYLES if style in labels.values()],
        given_split=given if all(given) and len(set(given)) > 1 else None,
        masks=len(kept) == len(ids),
        licence="",
        citation=ABOUT.citation,
        notes=_notes(disk, ids, kept, stray, strangers),
    )
    return files.Catalogue(
        description, {name: images[name] for name in ids}, {k: Path(v) for k, v in kept.items()}
    )


def _style(disk: Disk, name: str, number: int) -> str:
    if not 1 <= number <= A_STYLE * len(STYLES):
        raise UserError(
            f"{name} in {disk.root} has the number {number}, which has no style",
            hint=f"frames have numbers from 1 to {A_STYLE * len(STYLES)}, {A_STYLE} of each style",
        )
    return STYLES[(number - 1) // A_STYLE]


def _masks(disk: Disk) -> tuple[dict[str, str], list[str]]:
    """The mask of each frame, and names of stray masks such as `Frame00150-gt(1).pbm`."""
    masks, stray = {}, []
    for path in sorted({*disk.others, *disk.images.paths}):
        name = path.rpartition(os.sep)[2]
        if match := MASK.match(name):
            masks[match[1]] = path
        elif "-gt" in name.lower():
            stray.append(disk.images.name(path))
    disk.used += map(Path, masks.values())
    return masks, stray


def _notes(
    disk: Disk, ids: list[str], masks: dict[str, str], stray: list[str], strangers: list[str]
) -> list[Note]:
    without = [name for name in ids if name not in masks] if masks else []
    strangers = [name for name in strangers if name not in stray]
    known = {*disk.used, *(disk.root / name for name in stray)}
    found = [
        Note("set aside: masks of another name", stray),
        Note("set aside: images that are no frames", strangers),
        Note("masks are not used as a whole: images without a mask", without),
    ]
    fixed = [Note("the licence is not stated: ask the authors before you publish the images")]
    if len(ids) != A_STYLE * len(STYLES):
        fixed.append(Note(f"{len(ids):,} images, where {A_STYLE * len(STYLES):,} were published"))
    return [*fixed, *(note for note in found if note.names), *disk.images.notes(known)]
