"""Reads untrusted image files: limits are checked before decoding, every failure has a short reason, and what was done
to the pixels besides decoding is noted."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from derm_bench.image_header import FORMATS, ImageHeader, header_of, jpeg_start
from derm_bench.sixteen_bits import deep_samples
from derm_bench.srgb import BLACK, WHITE, convert_profile, to_srgb

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".tif", ".tiff", ".webp", ".gif"}
)
"""Suffixes of image files, in lower case. Files in upper case have them too. What a file is its content tells."""
MAX_PIXELS = 64_000_000
MAX_BYTES = 2**30
"""Size in bytes of the largest image file that is read."""
# Larger files are read by Pillow, which does not load the whole file into memory.
_QUICK_BYTES = 64 * 2**20
# Metadata by which Pillow may rotate an image (EXIF anywhere before the pixels, or XMP without EXIF), or that tell of
# further images in the file.
_MAY_TURN = (b"Exif\0", b"tiff:Orientation", b"MPF\0")
_CHANGES_GREY = {"transparency", "icc_profile", "exif", "Raw profile type exif", "XML:com.adobe.xmp"}
_HAS_PROFILE = b"ICC_PROFILE\0"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_Pixels = tuple[np.ndarray, tuple[str, ...], ImageHeader | None]

TURNED = "the image was turned as its EXIF orientation says"
BAD_EXIF = "EXIF data that cannot be read were left out"
FIRST = "the first of several pages or frames was taken"


class UnreadableImage(Exception):
    """An image that could not be read. `reason` is a few words without the path; `digest` is the SHA-256 (hexadecimal)
    of the content that was read, None if nothing was read."""

    def __init__(self, reason: str, digest: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.digest = reason, digest


class DecodedImage(NamedTuple):
    """The `pixels` of an image file, uint8 [H,W,3] sRGB, the SHA-256 (hexadecimal) of the file, sentences about what
    was done besides decoding, equal for all images of a kind, and what the file says about itself."""

    pixels: np.ndarray
    digest: str
    notes: tuple[str, ...] = ()
    header: ImageHeader | None = None


class _Content(NamedTuple):
    """An image file at its start, open until it is left. `data` is its content, None if it is too large for the memory;
    `size` and `digest` are the number of its bytes and their SHA-256 (hexadecimal)."""

    file: BinaryIO
    data: bytes | None
    size: int
    digest: str

    def __enter__(self) -> _Content:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


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

    Colours are converted to sRGB if the file has a colour profile. Transparent pixels are put on white. Samples of 16
    bits are scaled to 8 by the largest value that they can have: as the file states it, else that of the fewest bits
    (8, 10, 12, 14 or 16) that hold all of them. Of several pages or frames the first is read. `max_pixels` is checked
    in the header, before anything is decoded. With `at_least`, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as
    long as both sides keep that many pixels. With `root`, links out of that folder are refused.
    Raises UnreadableImage, also for a JPEG about whose data the decoder warns: its pixels are partly made up.
    """
    return decode_image(path, max_pixels=max_pixels, at_least=at_least, root=root).pixels


def read_image_and_digest(
    path: Path | str | BytesIO,
    *,
    max_pixels: int = MAX_PIXELS,
    at_least: int | None = None,
    root: Path | None = None,
) -> tuple[np.ndarray, str]:
    """The pixels that `read_image` returns, and the SHA-256 (hexadecimal) of the file from which they were decoded, or
    of the content of one in memory."""
    return decode_image(path, max_pixels=max_pixels, at_least=at_least, root=root)[:2]


def decode_image(
    path: Path | str | BytesIO,
    *,
    max_pixels: int = MAX_PIXELS,
    at_least: int | None = None,
    root: Path | None = None,
) -> DecodedImage:
    """The pixels that `read_image` returns, with the digest of the file, or of the content of one in memory, and the
    notes. Raises UnreadableImage."""
    with _content(path, root) as content:
        try:
            quick = _plain_jpeg(content, max_pixels, at_least)
            pixels, notes, header = quick or _load(content, max_pixels, at_least)
        except UnreadableImage as error:
            raise UnreadableImage(error.reason, content.digest) from error
        return DecodedImage(pixels, content.digest, notes, header)


def read_mask(path: Path, *, max_pixels: int = MAX_PIXELS, root: Path | None = None) -> np.ndarray:
    """Decodes a segmentation into uint8 [H,W] of 0 and 255, thresholded at half of its largest value.

    Transparent pixels are outside. Raises UnreadableImage.
    """
    return read_mask_and_digest(path, max_pixels=max_pixels, root=root)[0]


def read_mask_and_digest(
    path: Path, *, max_pixels: int = MAX_PIXELS, root: Path | None = None
) -> tuple[np.ndarray, str]:
    """The mask that `read_mask` returns, and the SHA-256 (hexadecimal) of the file from which it was decoded."""
    with _content(path, root) as content:
        try:
            grey = _plain_grey(content, max_pixels)
            if grey is None:
                rgb = _load(content, max_pixels, None, background=BLACK)[0]
                grey = np.asarray(Image.fromarray(rgb).convert("L"))
        except UnreadableImage as error:
            raise UnreadableImage(error.reason, content.digest) from error
        return (grey > int(grey.max()) / 2).view(np.uint8) * np.uint8(255), content.digest


@contextlib.contextmanager
def damage_is_an_error() -> Iterator[None]:
    """While the block runs, Pillow's warnings of damaged files (truncated or corrupt data) are exceptions, so that the
    file counts as unreadable, unless only its EXIF data are damaged. Warnings are a setting of the process: enter this
    before threads read images."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", r"(?i).*(truncated|corrupt)", module=r"PIL\.")
        warnings.filterwarnings("ignore", r"(?i)corrupt exif", module=r"PIL\.")
        yield


def _content(path: Path | str | BytesIO, root: Path | None) -> _Content:
    """The content of an image file, or of one in memory. Up to `_QUICK_BYTES` it is in memory, so that what is decoded
    is what was hashed."""
    if isinstance(path, BytesIO):
        return _in_memory(path.getvalue())
    if root is not None:
        path = inside(root, Path(path))
    try:
        # Opening a pipe would wait for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            size = _size_of(descriptor)
            if size <= _QUICK_BYTES:
                return _in_memory(_all_of(descriptor, size))
            with open(descriptor, "rb", closefd=False) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.lseek(descriptor, 0, os.SEEK_SET)
            return _Content(os.fdopen(os.dup(descriptor), "rb"), None, size, digest)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise UnreadableImage(_reason(error)) from error


def _size_of(descriptor: int) -> int:
    """The number of bytes of an open file. Raises UnreadableImage if it is no regular file, or too large."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImage("not a regular file")
    if status.st_size > MAX_BYTES:
        raise UnreadableImage(f"more than {MAX_BYTES // 2**20} MiB")
    return status.st_size


def _in_memory(data: bytes) -> _Content:
    return _Content(BytesIO(data), data, len(data), hashlib.sha256(data).hexdigest())


def _all_of(descriptor: int, size: int) -> bytes:
    """The bytes of a file of which `size` were counted, as many as there are if that has changed since."""
    data = os.read(descriptor, size + 1)
    if len(data) == size:  # a read may be cut short
        return data
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(_QUICK_BYTES + 1)


def _plain_jpeg(content: _Content, max_pixels: int, at_least: int | None) -> _Pixels | None:
    """Decodes an ordinary JPEG with libjpeg-turbo, which is faster and gives the same pixels as Pillow. Returns None
    for other files (CMYK, metadata that may rotate it, too large), which are left to Pillow."""
    data = content.data
    start = jpeg_start(data, content.size) if data else None
    if data is None or start is None:
        return None
    width, height, colours = start.header.width, start.header.height, start.colours
    if colours is None:
        try:
            colours = simplejpeg.decode_jpeg_header(data)[2]
        except ValueError:
            return None
    if colours not in ("YCbCr", "Gray") or width * height > max_pixels:
        return None
    metadata = data[: start.length] if start.tagged else b""
    if metadata and any(mark in metadata for mark in _MAY_TURN):
        return None
    profile = None
    if _HAS_PROFILE in metadata:
        if colours == "Gray":
            return None
        with contextlib.suppress(Exception), Image.open(BytesIO(data), formats=("JPEG",)) as image:
            profile = image.info.get("icc_profile")
    scale = _scale(min(height, width), at_least)
    size = {"min_height": -(-height // scale), "min_width": -(-width // scale)}
    try:
        pixels: np.ndarray = simplejpeg.decode_jpeg(data, **size)
    except ValueError as error:
        _refuse_warned(data, error, size)
        return None
    if not profile:
        return pixels, (), start.header
    converted = convert_profile(Image.fromarray(pixels), profile)
    return np.asarray(converted.image), converted.notes, start.header


def _plain_grey(content: _Content, max_pixels: int) -> np.ndarray | None:
    """Decodes a PNG of grey pixels of 8 bits, or of one bit, without colour profile and transparency, as most masks
    are. Returns None for other files."""
    if content.data is None or not content.data.startswith(_PNG_START):
        return None
    try:
        with Image.open(content.file, formats=("PNG",)) as image:
            if (
                image.mode in ("1", "L")
                and image.width * image.height <= max_pixels
                and not getattr(image, "is_animated", False)
            ):
                grey = image.convert("L")  # metadata may follow the pixels
                if not _CHANGES_GREY & image.info.keys():
                    return np.asarray(grey)
            content.file.seek(0)
            return None
    except MemoryError:
        raise
    except Exception as error:  # decoders of broken files raise nearly anything
        raise UnreadableImage(_reason(error)) from error


def _refuse_warned(data: bytes, error: ValueError, how: Mapping[str, object]) -> None:
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
    for scale in (8, 4, 2):
        if at_least and side // scale >= at_least:
            return scale
    return 1


def _load(content: _Content, max_pixels: int, at_least: int | None, background: int = WHITE) -> _Pixels:
    """Decodes a file with Pillow; transparent pixels are put on `background`."""
    file = content.file
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise UnreadableImage(f"{width} x {height} pixels, more than {max_pixels:,} are not decoded")
            header = header_of(image, content.size)
            if image.format in ("JPEG", "MPO"):
                file.seek(0)
                _refuse_damaged_jpeg(file.read())
                if at_least is not None and min(width, height) > at_least:
                    image.draft(None, (at_least, at_least))
            notes = [FIRST] if getattr(image, "is_animated", False) else []
            turn, note = _turn(image)
            notes += [note] if note else []
            image.load()
            plain: Image.Image = image
            deep = deep_samples(file, image)
            if deep is not None:
                plain, note = deep.eight_bits()
                notes.append(note)
            converted = to_srgb(plain, image.info.get("icc_profile"), background=background)
            turned = turn(converted.image) if turn and image.format != "TIFF" else converted.image
            return np.asarray(turned), (*notes, *converted.notes), header
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:  # decoders of broken files raise nearly anything
        raise UnreadableImage(_reason(error)) from error


def _turn(image: Image.Image) -> tuple[Callable[[Image.Image], Image.Image] | None, str | None]:
    """What turns an image as its EXIF orientation says, None for an upright one, and the note about it. Pillow turns
    TIFF while it loads them."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # the parser of broken metadata raises nearly anything
        return None, BAD_EXIF
    if orientation not in _TURNS:
        return None, None
    return lambda upright: upright.transpose(_TURNS[orientation]), TURNED


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
