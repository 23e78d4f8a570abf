"""Reading images of strangers: bounded before decoding, a few formats only, every failure a short reason."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
MAX_PIXELS = 64_000_000

Resize = Literal["center-crop", "squash", "pad"]


class UnreadableImage(Exception):
    """An image that could not be read; `reason` is a few words without the path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def inside(root: Path, path: Path) -> Path:
    """`path` with links resolved; UnreadableImage where it leads out of `root` (itself resolved first)."""
    real = path.resolve()
    if not real.is_relative_to(root.resolve()):
        raise UnreadableImage("a link that leads out of the data folder")
    return real


def read_image(
    path: Path, *, max_pixels: int = MAX_PIXELS, at_least: int | None = None, root: Path | None = None
) -> np.ndarray:
    """Decodes a file into uint8 [H,W,3] sRGB, upright by its EXIF orientation.

    Transparent pixels lie on white; 16-bit greys are scaled to 8 bits. `max_pixels` is checked on the header,
    before anything is decoded. With `at_least`, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long
    as both sides keep that many pixels. With `root`, links out of that folder are refused.
    Raises UnreadableImage.
    """
    return np.asarray(_to_rgb(_load(path, max_pixels, at_least, root)))


def read_mask(path: Path, *, max_pixels: int = MAX_PIXELS, root: Path | None = None) -> np.ndarray:
    """Decodes a segmentation into uint8 [H,W] of 0 and 255, cut at half of its largest value.

    Raises UnreadableImage.
    """
    grey = np.asarray(_to_rgb(_load(path, max_pixels, None, root)).convert("L"))
    return np.where(grey > grey.max() / 2, 255, 0).astype(np.uint8)


def fit_square(
    pixels: np.ndarray, mask: np.ndarray | None, size: int, how: Resize
) -> tuple[np.ndarray, np.ndarray | None]:
    """Brings an image and its mask to a square.

    pixels: uint8 [H,W,3]; mask: uint8 [h,w] or None, of the same view though maybe another resolution.
    `center-crop` keeps the middle square, `squash` changes the aspect, `pad` adds black borders.
    Returns uint8 [size,size,3] (antialiased) and uint8 [size,size] (nearest neighbour) or None.
    """
    return _square(pixels, size, how, nearest=False), (
        None if mask is None else _square(mask, size, how, nearest=True)
    )


def _load(path: Path, max_pixels: int, at_least: int | None, root: Path | None) -> Image.Image:
    if root is not None:
        path = inside(root, path)
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


def _square(array: np.ndarray, size: int, how: Resize, nearest: bool) -> np.ndarray:
    height, width = array.shape[:2]
    box = (0.0, 0.0, float(width), float(height))
    target = (size, size)
    if how == "center-crop":
        side = min(height, width)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
    elif how == "pad":
        scale = size / max(height, width)
        target = (max(1, round(width * scale)), max(1, round(height * scale)))
    # A box filter down to three times the size first: as good to the eye as Lanczos alone, and much faster.
    resampling, gap = (Image.Resampling.NEAREST, None) if nearest else (Image.Resampling.LANCZOS, 3.0)
    small = np.asarray(Image.fromarray(array).resize(target, resampling, box=box, reducing_gap=gap))
    if how != "pad":
        return small
    canvas = np.zeros((size, size, *array.shape[2:]), np.uint8)
    top, left = (size - target[1]) // 2, (size - target[0]) // 2
    canvas[top : top + target[1], left : left + target[0]] = small
    return canvas
