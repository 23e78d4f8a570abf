"""What the beginning of an image file says about it: codec, size in pixels, quality of the compression."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
"""The formats of images that are read, as Pillow names them."""
START = 2**16
"""Bytes of a file that `read_header` looks at first; the header of nearly every JPEG lies in them."""
Colours = Literal["YCbCr", "Gray"]
_SCAN, _SHORT = b"\xff\xda", 2**11
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD8)}
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class ImageHeader(NamedTuple):
    """codec: as Pillow names it (JPEG, PNG, ...). width, height: in pixels, as stored. bytes: the size of the file.
    quality: the sum of the first quantisation table of a JPEG, which is lower for a better quality; None for others."""

    codec: str
    width: int
    height: int
    bytes: int
    quality: int | None = None


class JpegStart(NamedTuple):
    """What lies before the pixels of a JPEG: its header, the number of bytes up to them, and whether they hold segments
    of applications other than JFIF, such as EXIF, XMP and colour profiles. `colours` is "YCbCr" or "Gray" if the
    segments settle it as libjpeg reads them, else None."""

    header: ImageHeader
    length: int
    tagged: bool
    colours: Colours | None


def read_header(path: Path) -> ImageHeader | None:
    """The header of an image file; None if it cannot be read. No pixels are decoded."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return None
            quick = jpeg_start(file.read(START), status.st_size)
            if quick is not None:
                return quick.header
            file.seek(0)
            with Image.open(file, formats=FORMATS) as image:
                return header_of(image, status.st_size)
    except Exception:  # parsers of broken files raise nearly anything
        return None


def header_of(image: Image.Image, size: int) -> ImageHeader:
    """The header of an image that Pillow has opened from a file of `size` bytes."""
    tables = getattr(image, "quantization", None)
    quality = sum(tables[min(tables)]) if tables else None
    return ImageHeader(str(image.format), image.width, image.height, size, quality)


def jpeg_start(start: bytes, size: int) -> JpegStart | None:
    """What lies before the pixels of a JPEG of `size` bytes, from its segments (ISO 10918-1, annex B), with the header
    as Pillow reads it, in half of the time. None for other files, several images in one file, and pixels that do not
    begin within `start`, the first bytes of the file."""
    # The images of a set often have the same bytes before their pixels, so that these are parsed once. If the mark
    # lies within another segment, as in a thumbnail, they cannot be parsed, and the segments are gone through.
    scan = start.find(_SCAN, 2, _SHORT)
    found = _before_pixels(start[: scan + 4]) if scan > 0 else None
    found = found or _segments(start)
    if found is None:
        return None
    (codec, width, height, _, quality), length, tagged, colours = found
    return JpegStart(ImageHeader(codec, width, height, size, quality), length, tagged, colours)


def _segments(start: bytes) -> JpegStart | None:
    """What `jpeg_start` returns, of a file of 0 bytes."""
    if not start.startswith(b"\xff\xd8"):
        return None
    place, tables, sides, components, jfif, tagged = 2, dict[int, int](), None, 0, False, False
    while place + 4 <= len(start) and start[place] == 0xFF:
        marker = start[place + 1]
        if marker == 0xFF or marker in _WITHOUT_LENGTH:
            place += 1 if marker == 0xFF else 2
            continue
        if marker == 0xDA:  # the pixels begin
            quality = tables[min(tables)] if tables else None
            if sides is None:
                return None
            header = ImageHeader("JPEG", *sides, 0, quality)
            return JpegStart(header, place, tagged, _colours(components, jfif))
        inner, end = place + 4, place + 2 + (start[place + 2] << 8 | start[place + 3])
        if end < inner or end > len(start):
            return None
        if marker == 0xDB:
            tables.update(_sums(start[inner:end]))
        elif marker in _FRAMES:
            sides = int.from_bytes(start[inner + 3 : inner + 5]), int.from_bytes(start[inner + 1 : inner + 3])
            components = start[inner + 5] if end > inner + 5 else 0
        elif marker == 0xE0:
            jfif = jfif or (end - inner >= 14 and start.startswith(b"JFIF\0", inner))
        elif 0xE0 < marker <= 0xEF:
            tagged = True
            if marker == 0xE2 and start.startswith(b"MPF\0", inner, end):
                return None
        place = end
    return None


_before_pixels = functools.lru_cache(maxsize=256)(_segments)


def _colours(components: int, jfif: bool) -> Colours | None:
    """The colours of a JPEG as libjpeg reads them; None if they depend on more than the number of components."""
    if components == 1:
        return "Gray"
    return "YCbCr" if components == 3 and jfif else None


@functools.lru_cache(maxsize=256)
def _sums(body: bytes) -> Mapping[int, int]:
    """The sum of each quantisation table of a segment, by its number. Most images of a set have the same tables."""
    found, place = {}, 0
    while place < len(body):
        wide, number = body[place] >> 4, body[place] & 15
        table = body[place + 1 : place + 1 + (128 if wide else 64)]
        found[number] = sum(table[0::2]) * 256 + sum(table[1::2]) if wide else sum(table)
        place += 1 + (128 if wide else 64)
    return found
