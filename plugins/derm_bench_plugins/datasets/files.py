"""Functions shared by data sets of image files: checks of folders, reading of images, digests of images and masks."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.fingerprint import file_digests
from derm_bench.imageio import SUFFIXES, UnreadableImage, read_image, read_mask
from derm_bench.specs import RawImage, Unreadable

if TYPE_CHECKING:
    from derm_bench.specs import DatasetDescription, Task

MAX_TABLE_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Catalogue:
    """A scanned data set: its description, and the files of the image and the mask of each id.

    Files of large data sets are strings, because creating a Path takes longer than listing the file.
    """

    description: DatasetDescription
    images: Mapping[str, Path | str]
    masks: Mapping[str, Path] = field(default_factory=dict)


def existing_folder(root: Path, what: str) -> Path:
    """Return `root` as an absolute path. Raises UserError if it is not an existing folder."""
    place = root.expanduser().absolute()
    if not place.exists():
        raise UserError(f"the {what} folder {place} does not exist", hint="check `root`")
    if not place.is_dir():
        raise UserError(f"{place} is a file; `root` must be the {what} folder")
    return place


def folders(parent: Path) -> list[Path]:
    """Return the folders in `parent`, sorted, without hidden ones."""
    return sorted(path for path in parent.iterdir() if path.is_dir() and not path.name.startswith("."))


def images_below(folder: Path) -> Iterator[Path]:
    """Yield the images at any depth, sorted, without hidden ones. Linked folders are not entered."""
    return map(Path, image_paths_below(folder))


def image_paths_below(folder: Path) -> Iterator[str]:
    """Yield the same paths as `images_below`, as strings."""
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122
                yield f"{place}{os.sep}{name}"


def decoded_side(task: Task) -> int | None:
    """Return the side down to which a JPEG may be decoded; None if the task needs whole images.

    It is 1.5 times the side of the task, so that the subsequent resize still averages pixels.
    """
    return None if task.whole else task.size + task.size // 2


def digests(catalogue: Catalogue) -> dict[str, str]:
    """Return the content digest of every image, by id. For an image with a mask, the digest covers both."""
    image = file_digests(catalogue.images)
    mask = file_digests(catalogue.masks)
    return {
        name: hashlib.sha256(f"{value} {mask[name]}".encode()).hexdigest() if name in mask else value
        for name, value in image.items()
    }


def read_files(
    catalogue: Catalogue, root: Path, ids: Sequence[str], at_least: int | None
) -> Iterator[RawImage | Unreadable]:
    """Decode the image and the mask of each id. `at_least` is passed to `read_image`.

    For an image or mask that cannot be decoded, an `Unreadable` is yielded.
    """
    for name in ids:
        try:
            pixels = read_image(Path(catalogue.images[name]), at_least=at_least, root=root)
        except UnreadableImage as error:
            yield Unreadable(error.reason)
            continue
        try:
            mask = read_mask(catalogue.masks[name], root=root) if name in catalogue.masks else None
        except UnreadableImage as error:
            yield Unreadable(f"its mask: {error.reason}")
            continue
        yield RawImage(pixels, mask)


def read_table(file: Path, needed: Iterable[str]) -> list[dict[str, str]]:
    """Return the rows of a comma- or tab-separated file with a header. Column names are in lower case, values stripped.

    Raises UserError if the file cannot be read, is larger than 256 MiB, lacks a needed column or has an incomplete row.
    """
    try:
        if file.stat().st_size > MAX_TABLE_BYTES:
            raise UserError("tables of more than 256 MiB are not supported", file=file)
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UserError("not a text file in UTF-8", file=file) from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=file) from error
    reader = csv.reader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",")
    header = [column.strip().lower() for column in next(reader, [])]
    absent = [column for column in needed if column not in header]
    if absent:
        found = ", ".join(header)[:200] or "nothing"
        raise UserError(f"has no column {', '.join(absent)}; its first line names {found}", file=file, line=1)
    rows = []
    for cells in reader:
        if not cells:
            continue
        if len(cells) < len(header):
            raise UserError(
                f"{len(cells)} values, but the header has {len(header)}", file=file, line=reader.line_num
            )
        rows.append({column: cell.strip() for column, cell in zip(header, cells, strict=False)})
    return rows


def some(names: Iterable[str], most: int = 3) -> str:
    """Return the first few names for an error message: `a, b, c and 12 more`."""
    listed = sorted(names)
    rest = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {rest} more" if rest > 0 else "")
