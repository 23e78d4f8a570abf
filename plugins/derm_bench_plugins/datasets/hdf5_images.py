"""Encoded images in an HDF5 file, one data set of bytes per image, as in `train-image.hdf5` of ISIC 2024.

The file is not trusted: links inside of it that lead elsewhere are not followed, and sizes are checked before reading.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from derm_bench.errors import UserError
from derm_bench.imageio import UnreadableImage, read_image_and_digest
from derm_bench.specs import RawImage, Unreadable

MAX_NAMES = 2_000_000
MAX_IMAGE = 64 * 2**20
"""The largest number of bytes of an encoded image."""


def image_names(file: Path) -> list[str]:
    """Return the names of the images. Raises UserError if the file cannot be read."""
    with _opened(file) as container:
        if len(container) > MAX_NAMES:
            raise UserError(f"contains more than {MAX_NAMES:,} images", file=file)
        return list(container)


def read_images(file: Path, names: Sequence[str], at_least: int | None) -> Iterator[RawImage | Unreadable]:
    """Decode the images of these names in their order; those that cannot be decoded are `Unreadable`. `at_least` is as
    in `read_image`."""
    with _opened(file) as container:
        for name in names:
            try:
                content = BytesIO(_content(container, name))
                yield RawImage(read_image_and_digest(content, at_least=at_least)[0])
            except UnreadableImage as error:
                yield Unreadable(error.reason)


def _opened(file: Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise UserError(
            "reading HDF5 needs the package h5py",
            file=file,
            hint='pip install "derm-bench[hdf5]", or unpack the images as files',
        ) from None
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise UserError("is not a regular file", file=file)
        return h5py.File(file, "r")
    except OSError as error:
        raise UserError(f"is not a valid HDF5 file: {error}", file=file) from error


def _content(container: Any, name: str) -> bytes:
    """The bytes of one image. Raises UnreadableImage."""
    import h5py

    try:
        link = container.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise UnreadableImage("a link inside of the file")
        found = container[name]
        if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
            raise UnreadableImage("not a data set of bytes inside of the file")
        if found.dtype.kind not in "VSu" or (found.dtype.kind == "u" and found.dtype.itemsize != 1):
            raise UnreadableImage(f"not bytes but {found.dtype}")
        if found.nbytes > MAX_IMAGE:
            raise UnreadableImage(f"more than {MAX_IMAGE // 2**20} MiB")
        return bytes(found[()].tobytes())
    except UnreadableImage:
        raise
    except Exception as error:  # libraries that read broken files raise nearly anything
        raise UnreadableImage(f"cannot be read from HDF5 ({str(error)[:80]})") from error
