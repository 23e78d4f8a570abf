"""Reads untrusted image files of a few formats, with a size limit before decoding and a short reason for each
failure."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
MAX_PIXELS = 64_000_000
# Larger files are read by Pillow, which does not keep the whole file in memory.
_QUICK_BYTES = 64 * 2**20
# Metadata by which Pillow may rotate an image: EXIF anywhere before the pixels, and XMP if there is no EXIF.
_MAY_TURN = (b"Exif\0", b"tiff:Orientation")


class UnreadableImage(Exception):
    """An image that could not be read; `reason` is a few words without the path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def inside(root: Path, path: Path) -> Path:
    """`path` with links resolved. Raises UnreadableImage if it is outside of `root`, with the links of `root`
    resolved."""
    real, home = os.path.realpath(path), os.path.realpath(root)
    if os.path.commonpath([real, home]) != home:
        raise UnreadableImage("a link that leads out of the data folder")
    return Path(real)


def read_image(
    path: Path, *, max_pixels: int = MAX_PIXELS, at_least: int | None = None, root: Path | None = None
) -> np.ndarray:
    """Decodes a file into uint8 [H,W,3] sRGB, upright by its EXIF orientation.

    Transparent pixels are put on white; 16-bit grey values are scaled to 8 bits. `max_pixels` is checked in the header,
    before anything is decoded. With `at_least`, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long as both
    sides keep that many pixels. With `root`, links out of that folder are refused. Raises UnreadableImage.
    """
    if root is not None:
        path = inside(root, path)
    quick = _plain_jpeg(path, max_pixels, at_least)
    return np.asarray(_to_rgb(_load(path, max_pixels, at_least))) if quick is None else quick


def read_mask(path: Path, *, max_pixels: int = MAX_PIXELS, root: Path | None = None) -> np.ndarray:
    """Decodes a segmentation mask into uint8 [H,W] of 0 and 255, with half of its largest value as the threshold.

    Raises UnreadableImage.
    """
    if root is not None:
        path = inside(root, path)
    grey = np.asarray(_to_rgb(_load(path, max_pixels, None)).convert("L"))
    return np.where(grey > grey.max() / 2, 255, 0).astype(np.uint8)


def _plain_jpeg(path: Path, max_pixels: int, at_least: int | None) -> np.ndarray | None:
    """The pixels of an ordinary JPEG, equal to those of Pillow but decoded faster by libjpeg-turbo. None for other
    files (CMYK, metadata that may rotate the image, broken or too large), which Pillow reads or rejects."""
    try:
        status = path.stat()
        if path.suffix.lower() not in (".jpg", ".jpeg") or not stat.S_ISREG(status.st_mode):
            return None
        if status.st_size > _QUICK_BYTES:
            return None
        data = path.read_bytes()
        height, width, colours = simplejpeg.decode_jpeg_header(data)[:3]
        if (
            colours not in ("YCbCr", "Gray")
            or any(mark in data for mark in _MAY_TURN)
            or width * height > max_pixels
        ):
            return None
        scale = _scale(min(height, width), at_least)
        pixels: np.ndarray = simplejpeg.decode_jpeg(
            data, min_height=-(-height // scale), min_width=-(-width // scale)
        )
        return pixels
    except (OSError, ValueError):
        return None


def _scale(side: int, at_least: int | None) -> int:
    """The largest of 1, 2, 4 and 8 by which `side` can be divided with at least `at_least` pixels left, as in
    Pillow."""
    return max(scale for scale in (1, 2, 4, 8) if scale == 1 or (at_least and side // scale >= at_least))


def _load(path: Path, max_pixels: int, at_least: int | None) -> Image.Image:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableImage("not a regular file")
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise UnreadableImage(f"{width} x {height} pixels, more than {max_pixels:,} are not decoded")
            if at_least is not None and image.format == "JPEG" and min(width, height) > at_least:
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
