"""Matches the ids of a table to image files, with one allowance for what has no partner.

A reader whose options inherit from `AllowsMissing` (`specs/shared.py`) writes::

    rows = table.read([image, label])
    found = find_images(root, folders)
    matched = match_images(rows, image, found, options)
    for k in matched.rows:                      # the rows that have an image, in the order of the table
        matched.paths[k], rows[label][k]
    description = DatasetDescription(..., notes=matched.notes)

An id may be the file name, with or without its suffix and in any case of the suffix, or its path or the end of its path
below the root. The same bytes under one name in several folders, as in `imgs_part_1/imgs_part_1/`, count once.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError, did_you_mean
from derm_bench.fingerprint import UNREADABLE, file_digests
from derm_bench.imageio import MAX_BYTES, SUFFIXES
from derm_bench.specs import Note
from derm_bench_plugins.datasets import files

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.image_search import Found
    from derm_bench_plugins.datasets.specs.shared import AllowsMissing
    from derm_bench_plugins.datasets.tables import Rows

SAME = "equal files under one name in several folders, of which the first is used"


@dataclass(frozen=True)
class Matched:
    """Rows with images. `rows` are the positions of the rows that have an image, `paths` the image of each such row;
    `notes` say what was set aside, in the search and here."""

    rows: Sequence[int]
    paths: Mapping[int, str]
    notes: Sequence[Note]


def match_images(
    rows: Rows,
    column: str,
    found: Found,
    options: AllowsMissing,
    *,
    source: str = "",
    used: Iterable[str | Path] = (),
    unlisted: Collection[str] | None = None,
) -> Matched:
    """Find the image of each row.

    `source` completes the hint for missing images, "get it from ..."; `used` are files that are not set aside. Images
    that no row names count against the allowance unless they are not in `unlisted` (paths; default: all of the search),
    for instance because they belong to another part of the data set.

    Raises UserError if the search has found no image, if an id occurs twice or is ambiguous, and if rows without
    images, images without rows or links that lead nowhere are more than `options` allows.
    """
    if not found.paths:
        raise UserError(
            f"no images in {found.root}", hint=_from(source) or f"images have the suffixes {suffixes()}"
        )
    index = ImageIndex(found)
    paths: dict[int, str] = {}
    missing: list[int] = []
    for k, name in enumerate(rows.names(column)):
        path = index.get(name, lambda k=k: rows.lines[k], rows.file)
        if path is None:
            missing.append(k)
        else:
            paths[k] = path
    _refuse_twice(rows, column, paths)
    names = [str(rows[column][k]) for k in missing]
    if missing:
        near = _near(names[0], index) if len(missing) == len(rows) else ""
        allow(
            names,
            len(rows),
            options,
            f"rows of {rows.file.name} without an image",
            hint=near or f"below {found.root}; {_from(source)}" if source else near,
            partial=True,
            file=rows.file,
        )
    if not paths:
        raise UserError(f"no row of {rows.file.name} has an image in {found.root}", hint=_from(source))
    taken = set(paths.values()) | set(index.same)
    spare = [path for path in found.paths if path not in taken and (unlisted is None or path in unlisted)]
    strangers = [found.name(path) for path in spare]
    allow(strangers, len(found.paths), options, f"images without a row in {rows.file.name}", file=rows.file)
    allow(found.broken, len(found.paths), options, "links that lead nowhere")
    notes = found.without(SAME, index.same).notes(used)
    if missing:
        notes.append(Note(f"set aside: rows of {rows.file.name} without an image", names))
    if strangers:
        notes.append(Note(f"set aside: images without a row in {rows.file.name}", strangers))
    return Matched(sorted(paths), paths, notes)


def allow(
    names: Sequence[str],
    of: int,
    options: AllowsMissing,
    what: str,
    *,
    hint: str = "",
    partial: bool = False,
    file: Path | None = None,
) -> None:
    """Raise UserError if `names` are more than the share of `of` that the option `missing` allows. With `partial`, the
    option of that name allows any number."""
    if not names or len(names) <= options.missing * of or (partial and options.partial):
        return
    ways = f"to set them aside: `missing: {_share(len(names), of)}`"
    ways += ", or `partial: true` if the images are a part of the data set on purpose" if partial else ""
    raise UserError(
        f"{len(names):,} {what}, of {of:,}: {files.some(names)}",
        file=file,
        hint="; ".join(filter(None, (hint, ways))),
    )


def _share(n: int, of: int) -> str:
    """The share n / of, rounded up to four digits, so that it is enough."""
    return str(min(1.0, -(-n * 10_000 // of) / 10_000))


class ImageIndex:
    """Images by the spellings of their names. `same` are the paths of equal files under the name of one that was
    found."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.same: dict[str, None] = {}
        self.by_stem: dict[str, list[str]] = {}
        for path in found.paths:
            name = path[path.rfind(os.sep) + 1 :]
            dot = name.rfind(".")  # images inside of a container have none
            self.by_stem.setdefault(name[:dot] if dot > 0 else name, []).append(path)

    def get(self, name: str, line: object = None, file: Path | None = None) -> str | None:
        """Return the path of the image that `name` stands for; None if there is none.

        Raises UserError if it may be one of several files that differ.
        """
        place = name.replace("\\", "/").removeprefix("./").strip("/")
        folder, _, last = place.rpartition("/")
        stem, suffix = os.path.splitext(last)  # noqa: PTH122
        candidates = self.by_stem.get(last, [])
        if suffix.lower() in SUFFIXES and stem in self.by_stem:
            # Names in a table may differ from the files in their suffix, and in its case.
            ending = suffix.lower()
            same = [path for path in self.by_stem[stem] if path[path.rfind(".") :].lower() == ending]
            candidates = same or candidates or self.by_stem[stem]
        if folder:
            inner = f"/{folder}/"
            within = [path for path in candidates if inner in f"/{self.found.name(path)}"]
            exact = [path for path in within if self.found.name(path).rpartition("/")[0] == folder]
            candidates = exact or within or candidates
        if len(candidates) > 1:
            candidates = self._one(name, candidates, line, file)
        return candidates[0] if candidates else None

    def _one(self, name: str, candidates: list[str], line: object, file: Path | None) -> list[str]:
        """The first of equal files. The others are remembered in `same`."""
        digests = set(file_digests({path: path for path in candidates}, MAX_BYTES).values())
        if len(digests) == 1 and UNREADABLE not in digests:
            self.same.update(dict.fromkeys(candidates[1:]))
            return candidates[:1]
        raise UserError(
            f"'{name}' may be one of several files that differ: {files.some(map(self.found.name, candidates))}",
            file=file,
            line=line() if callable(line) else None,
            hint="write the path below the root, or keep one of the files",
        )


def _refuse_twice(rows: Rows, column: str, paths: Mapping[int, str]) -> None:
    """Raise UserError if two rows, such as `a` and `a.jpg`, stand for one image."""
    row_of: dict[str, int] = {}
    for k, path in paths.items():
        first = row_of.setdefault(path, k)
        if first != k:
            message = f"'{rows[column][k]}' and '{rows[column][first]}' stand for one image"
            raise rows.error(message, k, column=column)


def _near(name: str, index: ImageIndex) -> str:
    near = did_you_mean(name, list(index.by_stem)[:2000])
    if near.startswith("did"):
        return f"the first row names '{name}'; {near}"
    first = next(iter(index.by_stem), "")
    return (
        f"the table names '{name}', and the files are named like '{first}': they are of different data sets"
    )


def _from(source: str) -> str:
    return f"get it from {source}" if source else ""


def suffixes() -> str:
    """Return the suffixes of images, for a message."""
    return ", ".join(sorted(SUFFIXES))
