"""What the beginning of an image file says about it: codec, size in pixels, quality of the compression."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from derm_bench.imageio import FORMATS


class ImageHeader(NamedTuple):
    """codec: as Pillow names it (JPEG, PNG, ...). width, height: in pixels, as stored. bytes: the size of the file.
    quality: the sum of the first quantisation table of a JPEG, which is lower for a better quality; None for others."""

    codec: str
    width: int
    height: int
    bytes: int
    quality: int | None = None


def read_header(path: Path) -> ImageHeader | None:
    """The header of an image file; None if it cannot be read. No pixels are decoded."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return None
            with Image.open(file, formats=FORMATS) as image:
                tables = getattr(image, "quantization", None)
                quality = sum(tables[min(tables)]) if tables else None
                return ImageHeader(str(image.format), image.width, image.height, status.st_size, quality)
    except Exception:  # parsers of broken files raise nearly anything
        return None
