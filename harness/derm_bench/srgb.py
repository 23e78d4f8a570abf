"""Makes sRGB of any image that Pillow has loaded: colour profiles, CMYK and transparency.

Whatever changes pixels beyond decoding is returned as a note, a sentence that is the same for every image of its kind.
"""

from __future__ import annotations

import functools
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

PROFILE = "a colour profile was converted to sRGB"
BAD_PROFILE = "a colour profile that cannot be used was left out, and the pixels were taken as sRGB"
NO_PROFILE = "CMYK without a colour profile was converted by a plain formula"
ON_WHITE = "transparent pixels were put on white"

WHITE, BLACK = 255, 0
_COLOURS_OF_GRID = 17
# A profile that changes no colour by more than this is sRGB: implementations of its curve differ in rounding.
_SAME_LEVELS = 2
_FLAGS = (
    ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE
)  # without a cache threads may share it
_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")


class Srgb(NamedTuple):
    """`image` in mode RGB, and the notes about it."""

    image: Image.Image
    notes: tuple[str, ...]


def to_srgb(image: Image.Image, profile: bytes | None, *, background: int = WHITE) -> Srgb:
    """A loaded image of 8 bits as sRGB. `profile` is its ICC profile, if it has one.

    Transparent pixels are put on a `background` of that grey. Raises ValueError for pixels of 32 bits, which have no
    agreed range.
    """
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of 32 bits (mode {image.mode}) have no agreed range")
    colours, alpha = _apart(image)
    converted, note = _converted(colours, profile)
    notes = [note] if note else []
    if alpha is not None:
        converted.paste((background,) * 3, mask=alpha.point(lambda level: 255 - level))
        notes += [ON_WHITE] if background == WHITE else []
    return Srgb(converted, tuple(notes))


def convert_profile(image: Image.Image, profile: bytes) -> Srgb:
    """An RGB image whose colours `profile`, an ICC profile, describes, as sRGB."""
    converted, note = _converted(image, profile)
    return Srgb(converted, (note,) if note else ())


def _apart(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The image without transparency, and its alpha channel, None if all of it is opaque."""
    if image.mode not in _WITH_ALPHA and "transparency" not in image.info:
        plain = {"P": "RGB", "1": "L"}.get(image.mode)
        return image.convert(plain) if plain else image, None
    whole = image.convert("RGBA")
    alpha = whole.getchannel("A")
    opaque = alpha.getextrema() == (255, 255)
    colours = whole.convert("RGB") if image.mode not in ("L", "LA", "La") else whole.getchannel("R")
    return colours, None if opaque else alpha


# --------------------------------------------------------------------------------------- profiles


def _converted(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str | None]:
    """An image of one, three or four channels in sRGB, and the note about its profile, if there is one."""
    if image.mode == "LAB":
        return _from_lab(image), PROFILE
    if not profile:
        return image.convert("RGB"), NO_PROFILE if image.mode == "CMYK" else None
    mode = _mode_of(profile)
    usable = mode is not None and ((mode == "RGB" and image.mode != "CMYK") or mode == image.mode)
    transform = _transform(profile, mode) if usable and mode else None
    if transform is None:
        return image.convert("RGB"), BAD_PROFILE
    if not transform.changes:
        return image.convert("RGB"), None
    return _applied(transform.made, image.convert(mode)), PROFILE


class _Transform(NamedTuple):
    made: ImageCms.ImageCmsTransform
    changes: bool


@functools.lru_cache(maxsize=32)
def _mode_of(profile: bytes) -> str | None:
    """The mode of the images that a profile describes; None for an invalid profile, or another colour space."""
    try:
        space = ImageCms.ImageCmsProfile(BytesIO(profile)).profile.xcolor_space.strip()
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None
    return {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space)


@functools.lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> _Transform | None:
    """The conversion from a profile to sRGB, relative to white and black, and whether it changes anything; None for a
    profile from which there is none."""
    try:
        made = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            _FLAGS,
        )
        if mode == "CMYK":
            return _Transform(made, True)
        grid = _grid()
        after = np.asarray(_applied(made, grid.convert(mode)), np.int16)
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None
    before = np.asarray(grid.convert(mode).convert("RGB"), np.int16)
    return _Transform(made, bool(np.abs(after - before).max() > _SAME_LEVELS))


def _grid() -> Image.Image:
    """Colours on a regular grid, as an RGB image."""
    levels = np.linspace(0, 255, _COLOURS_OF_GRID).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    return Image.fromarray(colours.reshape(_COLOURS_OF_GRID, -1, 3))


def _from_lab(image: Image.Image) -> Image.Image:
    lab = ImageCms.createProfile("LAB")
    made = ImageCms.buildTransform(lab, ImageCms.createProfile("sRGB"), "LAB", "RGB")
    return _applied(made, image)


def _applied(transform: ImageCms.ImageCmsTransform, image: Image.Image) -> Image.Image:
    return transform.apply(image)
