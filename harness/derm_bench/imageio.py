"""Reads untrusted image files: limits are checked before decoding, and every failure has a short reason."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
MAX_PIXELS = 64_000_000
MAX_BYTES = 2**30
"""Size in bytes of the largest image file that is read."""
# Larger files are read by Pillow, which does not load the whole file into memory.
_QUICK_BYTES = 64 * 2**20
# Metadata by which Pillow may rotate an image: EXIF anywhere before the pixels, or XMP without EXIF.
_MAY_TURN = (b"Exif\0", b"tiff:Orientation")
_JPEG_START = b"\xff\xd8"


class UnreadableImage(Exception):
    """An image that could not be read. `reason` is a few words without the path; `digest` is the SHA-256 (hexadecimal)
    of the content that was read, None if nothing was read."""

    def __init__(self, reason: str, digest: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.digest = reason, digest


def inside(root: Path, path: Path) -> Path:
    """`path` with links resolved. Raises UnreadableImage if it is outside `root` (after resolving that too)."""
    real, home = os.path.realpath(path), os.path.realpath(root)
    if os.path.commonpath([real, home]) != home:
        raise UnreadableImage("a link that leads out of the data folder")
    return Path(real)


def read_image(
    path: Path, *, max_pixels: int = MAX_PIXELS, at_least: int | None = None, root: Path | None = None
) -> np.ndarray:
    """Decodes a file into uint8 [H,W,3] sRGB, rotated by its EXIF orientation.

    Transparent pixels are put on white; 16-bit greys are scaled to 8 bits. `max_pixels` is checked in the header,
    before anything is decoded. With `at_least`, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long
    as both sides keep that many pixels. With `root`, links out of that folder are refused.
    Raises UnreadableImage, also for a JPEG about whose data the decoder warns: its pixels are partly made up.
    """
    return read_image_and_digest(path, max_pixels=max_pixels, at_least=at_least, root=root)[0]


def read_image_and_digest(
    path: Path | BytesIO,
    *,
    max_pixels: int = MAX_PIXELS,
    at_least: int | None = None,
    root: Path | None = None,
) -> tuple[np.ndarray, str]:
    """The pixels that `read_image` returns, and the SHA-256 (hexadecimal) of the file from which they were decoded, or
    of the content of one in memory."""
    with _content(path, root) as (file, digest):
        try:
            quick = _plain_jpeg(file, max_pixels, at_least)
            pixels = np.asarray(_to_rgb(_load(file, max_pixels, at_least))) if quick is None else quick
        except UnreadableImage as error:
            raise UnreadableImage(error.reason, digest) from error
        return pixels, digest


def read_mask(path: Path, *, max_pixels: int = MAX_PIXELS, root: Path | None = None) -> np.ndarray:
    """Decodes a segmentation into uint8 [H,W] of 0 and 255, thresholded at half of its largest value.

    Raises UnreadableImage.
    """
    return read_mask_and_digest(path, max_pixels=max_pixels, root=root)[0]


def read_mask_and_digest(
    path: Path, *, max_pixels: int = MAX_PIXELS, root: Path | None = None
) -> tuple[np.ndarray, str]:
    """The mask that `read_mask` returns, and the SHA-256 (hexadecimal) of the file from which it was decoded."""
    with _content(path, root) as (file, digest):
        try:
            grey = np.asarray(_to_rgb(_load(file, max_pixels, None)).convert("L"))
        except UnreadableImage as error:
            raise UnreadableImage(error.reason, digest) from error
        return np.where(grey > grey.max() / 2, 255, 0).astype(np.uint8), digest


@contextlib.contextmanager
def damage_is_an_error() -> Iterator[None]:
    """While the block runs, Pillow's warnings of damaged files (truncated or corrupt data) are exceptions, so that the
    file counts as unreadable. Warnings are a setting of the process: enter this before threads read images."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", r"(?i).*(truncated|corrupt)", module=r"PIL\.")
        yield


@contextlib.contextmanager
def _content(path: Path | BytesIO, root: Path | None) -> Iterator[tuple[BinaryIO, str]]:
    """An open image file at its start, and the SHA-256 of its content. Up to `_QUICK_BYTES` it is in memory, so that
    what is decoded is what was hashed."""
    if isinstance(path, BytesIO):
        yield path, hashlib.sha256(path.getbuffer()).hexdigest()
        return
    if root is not None:
        path = inside(root, path)
    with contextlib.ExitStack() as stack:
        try:
            # Opening a pipe would wait for its other end.
            file = stack.enter_context(
                os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
            )
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableImage("not a regular file")
            if status.st_size > MAX_BYTES:
                raise UnreadableImage(f"more than {MAX_BYTES // 2**20} MiB")
            if status.st_size <= _QUICK_BYTES:
                data = file.read(_QUICK_BYTES + 1)
                content: BinaryIO = BytesIO(data)
                digest = hashlib.sha256(data).hexdigest()
            else:
                content, digest = file, hashlib.file_digest(file, "sha256").hexdigest()
                file.seek(0)
        except IsADirectoryError:
            raise UnreadableImage("not a regular file") from None
        except (OSError, ValueError) as error:
            raise UnreadableImage(_reason(error)) from error
        yield content, digest


def _plain_jpeg(file: BinaryIO, max_pixels: int, at_least: int | None) -> np.ndarray | None:
    """Decodes an ordinary JPEG with libjpeg-turbo, which is faster and gives the same pixels as Pillow. Returns None
    for other files (CMYK, metadata that may rotate it, too large), which are left to Pillow."""
    if not isinstance(file, BytesIO) or file.getbuffer()[:2] != _JPEG_START:
        return None
    data = file.getvalue()
    try:
        height, width, colours = simplejpeg.decode_jpeg_header(data)[:3]
    except ValueError:
        return None
    if (
        colours not in ("YCbCr", "Gray")
        or any(mark in data for mark in _MAY_TURN)
        or width * height > max_pixels
    ):
        return None
    scale = _scale(min(height, width), at_least)
    size = {"min_height": -(-height // scale), "min_width": -(-width // scale)}
    try:
        pixels: np.ndarray = simplejpeg.decode_jpeg(data, **size)
        return pixels
    except ValueError as error:
        _refuse_warned(data, error, size)
        return None


def _refuse_warned(data: bytes, error: ValueError, how: dict[str, object]) -> None:
    """Raises UnreadableImage if libjpeg can decode the data but warns about it, as `error` says.

    Pillow would pass over the warning. Data that libjpeg cannot decode at all are left to Pillow.
    """
    with contextlib.suppress(ValueError):
        simplejpeg.decode_jpeg(data, strict=False, **how)
        said = str(error).strip().rstrip(".")
        damage = "the file is truncated" if said == "Premature end of JPEG file" else "the file is damaged"
        raise UnreadableImage(f"{damage} ({said[:80]})") from error


def _refuse_damaged_jpeg(data: bytes) -> None:
    """Raises UnreadableImage if libjpeg warns about a JPEG that Pillow decodes."""
    how: dict[str, object] = {"min_height": 1, "min_width": 1, "min_factor": 8}  # the quickest, of all data
    try:
        how["colorspace"] = "CMYK" if simplejpeg.decode_jpeg_header(data)[2] in ("CMYK", "YCCK") else "RGB"
        simplejpeg.decode_jpeg(data, **how)
    except ValueError as error:
        _refuse_warned(data, error, how)


def _scale(side: int, at_least: int | None) -> int:
    """The largest of 1, 2, 4 and 8 by which `side` can be divided so that `at_least` pixels remain, as in Pillow."""
    return max(scale for scale in (1, 2, 4, 8) if scale == 1 or (at_least and side // scale >= at_least))


def _load(file: BinaryIO, max_pixels: int, at_least: int | None) -> Image.Image:
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise UnreadableImage(f"{width} x {height} pixels, more than {max_pixels:,} are not decoded")
            if image.format == "JPEG":
                file.seek(0)
                _refuse_damaged_jpeg(file.read())
                if at_least is not None and min(width, height) > at_least:
                    image.draft(None, (at_least, at_least))
            image.load()
            return ImageOps.exif_transpose(image)
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # decoders of broken files raise nearly anything
        raise UnreadableImage(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "far too many pixels (decompression bomb)"
    if isinstance(error, UnidentifiedImageError):
        return "not an image in one of the formats " + ", ".join(FORMATS)
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if "truncated" in str(error).lower():
        return "the file is truncated"
    return f"cannot be decoded ({str(error)[:80] or type(error).__name__})"


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise UnreadableImage(f"pixels of 32 bits (mode {image.mode}) have no agreed range")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        on_white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(on_white, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
