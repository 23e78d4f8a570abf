"""Functions shared by data sets of image files: checks of folders, reading of images, digests of images and masks."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
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
from derm_bench_plugins.datasets.image_search import (
    MAX_DEPTH,
    MAX_ENTRIES,
    NARROWER,
    cannot_open,
    too_many,
)

if TYPE_CHECKING:
    from derm_bench.specs import DatasetDescription, Task


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


def entries(parent: Path, ending: str | tuple[str, ...] = "") -> list[Path]:
    """Return what is in a folder, sorted; with `ending`, only names that end so, in any case. Raises UserError if the
    folder cannot be opened, or if it has more than `MAX_ENTRIES` entries."""
    with _listing(parent) as found:
        names = [entry.name for entry in itertools.islice(found, MAX_ENTRIES + 1)]
    if len(names) > MAX_ENTRIES:
        raise too_many(parent, MAX_ENTRIES)
    # Creating a Path takes longer than listing the file.
    return [parent / name for name in sorted(names) if not ending or name.lower().endswith(ending)]


def folders(parent: Path) -> list[Path]:
    """Return the folders in `parent`, sorted, without hidden ones."""
    try:
        return [path for path in entries(parent) if not path.name.startswith(".") and path.is_dir()]
    except OSError as error:
        raise cannot_open([error]) from error


def images_below(folder: Path) -> Iterator[Path]:
    """Yield the images at any depth, sorted, without hidden ones. Linked folders are not entered.

    Raises UserError if a folder cannot be opened, since its images would be missing without notice, and if there are
    more than `MAX_ENTRIES` files or `MAX_DEPTH` levels of folders.
    """
    closed: list[OSError] = []
    seen = 0
    top = str(folder)
    for place, inner, names in os.walk(folder, onerror=closed.append):
        seen += len(inner) + len(names)
        if seen > MAX_ENTRIES:
            raise too_many(folder, MAX_ENTRIES)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        if inner and place.count(os.sep) - top.count(os.sep) >= MAX_DEPTH:
            raise UserError(
                f"{folder} has more than {MAX_DEPTH} folders inside each other: {place}", hint=NARROWER
            )
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122
                yield Path(place, name)
    if closed:
        raise cannot_open(closed)


@contextlib.contextmanager
def _listing(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as found:
            yield found
    except OSError as error:
        raise cannot_open([error]) from error


def decoded_side(task: Task) -> int | None:
    """Return the side down to which a JPEG may be decoded; None if the task needs whole images.

    It is 1.5 times the side of the task, so that the subsequent resize still averages pixels.
    """
    return None if task.whole else task.size + task.size // 2


def digests(catalogue: Catalogue) -> dict[str, str]:
    """Return the content digest of every image, by id. For an image with a mask, the digest covers both."""
    image = file_digests(catalogue.images, MAX_BYTES)
    if not catalogue.masks:
        return image
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
            decoded = decode_image(catalogue.images[name], at_least=at_least, root=root)
        except UnreadableImage as error:
            yield Unreadable(error.reason, None if masked else error.digest)
            continue
        pixels, image, notes, header = decoded
        if not masked:
            yield RawImage(pixels, None, image, notes, header)
            continue
        try:
            mask, of_mask = read_mask_and_digest(catalogue.masks[name], root=root)
        except UnreadableImage as error:
            digest = error.digest and _joint(image, error.digest)
            yield Unreadable(f"its mask: {error.reason}", digest)
            continue
        yield RawImage(pixels, mask, _joint(image, of_mask), notes, header)


def some(names: Iterable[str], most: int = 3) -> str:
    """Return the first few names for an error message: `a, b, c and 12 more`."""
    listed = sorted(names)
    rest = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {rest} more" if rest > 0 else "")
