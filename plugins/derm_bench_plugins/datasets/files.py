"""Functions shared by data sets of image files: checks of folders, reading of images, digests of images and masks."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.fingerprint import file_digests
from derm_bench.imageio import (
    MAX_BYTES,
    SUFFIXES,
    UnreadableImage,
    decode_image,
    read_mask_and_digest,
)
from derm_bench.specs import RawImage, Unreadable

if TYPE_CHECKING:
    from derm_bench.specs import DatasetDescription, Task

MAX_TABLE_BYTES = 256 * 2**20
MAX_ENTRIES = 2_000_000
"""The largest number of files and folders below a folder of images."""
MAX_DEPTH = 32
"""The largest number of folders inside each other."""


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
    if place.resolve() == Path(place.anchor):
        raise UserError(f"{place} is the whole file system; `root` must be the {what} folder")
    return place


def entries(parent: Path) -> list[Path]:
    """Return what is in a folder, sorted. Raises UserError if the folder cannot be opened, or if it has more than
    `MAX_ENTRIES` entries."""
    with _listing(parent) as found:
        names = [entry.name for entry in itertools.islice(found, MAX_ENTRIES + 1)]
    if len(names) > MAX_ENTRIES:
        raise _too_many(parent)
    return [parent / name for name in sorted(names)]


def folders(parent: Path) -> list[Path]:
    """Return the folders in `parent`, sorted, without hidden ones."""
    try:
        return [path for path in entries(parent) if not path.name.startswith(".") and path.is_dir()]
    except OSError as error:
        raise _cannot_open([error]) from error


def images_below(folder: Path) -> Iterator[Path]:
    """Yield the images at any depth, sorted, without hidden ones. Linked folders are not entered.

    Raises UserError if a folder cannot be opened, since its images would be missing without notice, and if there are
    more than `MAX_ENTRIES` files or `MAX_DEPTH` levels of folders.
    """
    return map(Path, image_paths_below(folder))


def image_paths_below(folder: Path) -> Iterator[str]:
    """Yield the same paths as `images_below`, as strings. Raises UserError as it does."""
    closed: list[OSError] = []
    seen = 0
    top = str(folder)
    for place, inner, names in os.walk(folder, onerror=closed.append):
        seen += len(inner) + len(names)
        if seen > MAX_ENTRIES:
            raise _too_many(folder)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        if inner and place.count(os.sep) - top.count(os.sep) >= MAX_DEPTH:
            raise UserError(
                f"{folder} has more than {MAX_DEPTH} folders inside each other: {place}", hint=_NARROWER
            )
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122
                yield f"{place}{os.sep}{name}"
    if closed:
        raise _cannot_open(closed)


_NARROWER = "`root` must be the folder of the images and not one far above it"


def _too_many(folder: Path) -> UserError:
    return UserError(f"{folder} contains more than {MAX_ENTRIES:,} files", hint=_NARROWER)


def _cannot_open(errors: Sequence[OSError]) -> UserError:
    listed = some((f"{error.filename} ({(error.strerror or str(error)).lower()})" for error in errors), 5)
    return UserError(
        f"{len(errors)} folder{'s' * (len(errors) > 1)} cannot be opened: {listed}",
        hint="their images would be missing: make them readable, or move them out of `root`",
    )


@contextlib.contextmanager
def _listing(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as found:
            yield found
    except OSError as error:
        raise _cannot_open([error]) from error


def decoded_side(task: Task) -> int | None:
    """Return the side down to which a JPEG may be decoded; None if the task needs whole images.

    It is 1.5 times the side of the task, so that the subsequent resize still averages pixels.
    """
    return None if task.whole else task.size + task.size // 2


def digests(catalogue: Catalogue) -> dict[str, str]:
    """Return the content digest of every image, by id. For an image with a mask, the digest covers both."""
    image = file_digests(catalogue.images, MAX_BYTES)
    mask = file_digests(catalogue.masks, MAX_BYTES)
    return {name: _joint(value, mask[name]) if name in mask else value for name, value in image.items()}


def _joint(image: str, mask: str) -> str:
    """The digest of an image and its mask, from the digests of both."""
    return hashlib.sha256(f"{image} {mask}".encode()).hexdigest()


def read_files(
    catalogue: Catalogue, root: Path | None, ids: Sequence[str], at_least: int | None
) -> Iterator[RawImage | Unreadable]:
    """Decode the image and the mask of each id, with the digest of what was decoded. `at_least` is passed to
    `decode_image`. Links that lead out of `root`, if it is given, are unreadable.

    For an image or mask that cannot be decoded, an `Unreadable` is yielded.
    """
    for name in ids:
        masked = name in catalogue.masks
        try:
            decoded = decode_image(Path(catalogue.images[name]), at_least=at_least, root=root)
        except UnreadableImage as error:
            yield Unreadable(error.reason, None if masked else error.digest)
            continue
        pixels, image, notes = decoded
        if not masked:
            yield RawImage(pixels, None, image, notes)
            continue
        try:
            mask, of_mask = read_mask_and_digest(catalogue.masks[name], root=root)
        except UnreadableImage as error:
            digest = error.digest and _joint(image, error.digest)
            yield Unreadable(f"its mask: {error.reason}", digest)
            continue
        yield RawImage(pixels, mask, _joint(image, of_mask), notes)


def read_table(file: Path, needed: Iterable[str]) -> list[dict[str, str]]:
    """Return the rows of a comma- or tab-separated file with a header. Column names are in lower case, values stripped.

    Raises UserError if the file is not a regular one, cannot be read, is larger than 256 MiB, lacks a needed column, or
    has an incomplete row or a value of more than 131,072 characters.
    """
    text = _text(file)
    first = text[: text.find("\n")] if "\n" in text else text
    # newline="": a line break inside quotation marks belongs to the value.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in first else ",")
    try:
        header = [column.strip().lower() for column in next(reader, [])]
        absent = [column for column in needed if column not in header]
        if absent:
            found = ", ".join(header)[:200] or "nothing"
            message = f"has no column {', '.join(absent)}; its first line names {found}"
            raise UserError(message, file=file, line=1)
        rows = []
        for cells in reader:
            if not cells:
                continue
            if len(cells) < len(header):
                message = f"{len(cells)} values, but the header has {len(header)}"
                raise UserError(message, file=file, line=reader.line_num)
            rows.append({column: cell.strip() for column, cell in zip(header, cells, strict=False)})
        return rows
    except csv.Error as error:
        raise UserError(f"not a valid table: {error}", file=file, line=reader.line_num) from error


def _text(file: Path) -> str:
    """The text of a table. Only regular files are opened: reading a pipe or a device would not end."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as handle:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UserError("not a regular file", file=file)
            content = handle.read(MAX_TABLE_BYTES + 1)
        if len(content) > MAX_TABLE_BYTES:
            raise UserError("tables of more than 256 MiB are not supported", file=file)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("not a text file in UTF-8", file=file) from error
    except IsADirectoryError as error:
        raise UserError("not a regular file", file=file) from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=file) from error


def some(names: Iterable[str], most: int = 3) -> str:
    """Return the first few names for an error message: `a, b, c and 12 more`."""
    listed = sorted(names)
    rest = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {rest} more" if rest > 0 else "")
