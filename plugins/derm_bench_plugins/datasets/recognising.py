"""Which folders the built-in data sets can read: the functions that `recognise` of their specs names.

They look at the names of files and folders down to two levels and at the first lines of tables, so that any folder is
looked at within a second.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from derm_bench.errors import UserError
from derm_bench.imageio import SUFFIXES
from derm_bench.specs import Recognised
from derm_bench_plugins.datasets.tables import SUFFIXES as TABLE_SUFFIXES
from derm_bench_plugins.datasets.tables import open_table

CERTAIN, LIKELY, LAYOUT, GUESS = 0.95, 0.8, 0.5, 0.2
"""Confidence: names and columns of this data set alone; columns of this data set in a file of any name; a general
layout; a guess."""
MAX_LOOKED_AT = 20_000
"""The largest number of entries of a folder that are looked at."""
SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def names_in(folder: str | Path) -> tuple[list[str], list[str]]:
    """Return the names of folders and of files in a folder, sorted, without hidden ones; at most `MAX_LOOKED_AT`, and
    none of a folder that cannot be opened."""
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as found:
            for number, entry in enumerate(found):
                if number == MAX_LOOKED_AT:
                    break
                if not entry.name.startswith("."):
                    (folders if entry.is_dir() else files).append(entry.name)
    except OSError:
        pass
    return sorted(folders), sorted(files)


def tables_near(folder: Path, *stems: str) -> Iterator[Path]:
    """Yield the tables in a folder and in the folders in it, upper ones first, whose name begins with one of `stems`
    without regard to case (default: any name)."""
    wanted = tuple(stem.lower() for stem in stems)
    places = [folder, *(folder / name for name in names_in(folder)[0][:50])]
    for place in places:
        for name in names_in(place)[1]:
            known = os.path.splitext(name)[1].lower() in TABLE_SUFFIXES  # noqa: PTH122
            if known and (not wanted or name.lower().startswith(wanted)):
                yield place / name


def by_table(
    folder: Path, title: str, stems: Sequence[str], columns: Sequence[str], confidence: float = CERTAIN
) -> Recognised | None:
    """Recognise a data set by a table near the top of a folder whose name begins with one of `stems` and that has all
    `columns`."""
    for file in tables_near(folder, *stems):
        try:
            table = open_table(file)
            if all(table.optional(name) for name in columns):
                place = file.relative_to(folder).as_posix()
                return Recognised(f"{title}: {place} has the columns {', '.join(columns)}", confidence)
        except UserError:
            continue
    return None


def ham10000(folder: Path) -> Recognised | None:
    """Recognise HAM10000 by its metadata."""
    columns = ("lesion_id", "image_id", "dx")
    return by_table(folder, "HAM10000", ("HAM10000_metadata",), columns) or by_table(
        folder, "HAM10000", (), (*columns, "dx_type"), LIKELY
    )


def image_folder(folder: Path) -> Recognised | None:
    """Recognise a folder with one folder of images per class, or with those of train, val and test."""
    tops = names_in(folder)[0]
    splits = [name for name in tops if name.lower() in SPLITS]
    if splits:
        inner = Counter(
            name for top in splits for name in names_in(folder / top)[0] if has_images(folder / top / name)
        )
        if len(inner) > 1:
            listed = ", ".join(sorted(inner)[:5])
            return Recognised(
                f"folders {', '.join(splits)} with a folder of images per class ({listed})", LAYOUT
            )
    filled = [name for name in tops if has_images(folder / name)]
    if len(filled) < 2:
        return None
    listed = ", ".join(filled[:5]) + (f" and {len(filled) - 5} more" if len(filled) > 5 else "")
    return Recognised(f"{len(filled)} folders of images, one per class ({listed})", LAYOUT)


def has_images(folder: Path, depth: int = 3) -> bool:
    """Whether there are images in a folder, or in the folders in it down to `depth` levels."""
    folders, files = names_in(folder)
    if any(os.path.splitext(name)[1].lower() in SUFFIXES for name in files):  # noqa: PTH122
        return True
    return depth > 0 and any(has_images(folder / name, depth - 1) for name in folders[:20])
