"""What is measured of the pixels of every image, to see whether it tells classes apart: dark corners, ink, detail,
hair, and rulers.

Hair and rulers are measured at the stored size, at which a thin hair or a fine scale can be lost: that a class is not
told apart by them says little below 128 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from derm_bench.audit.images import CHUNK, AuditedImages
from derm_bench.audit.resample import applied, gauss

CORNER_RADIUS, DARK = 0.57, 40
"""Corners are farther from the centre than this share of the side; luminance (of 255) below which a pixel is dark."""
CENTRE = 128
"""Side of the central square in which detail is measured."""

HAIR_WIDTH, HAIR_LENGTH, HAIR_DEPTH = 3, 7, 20
"""Of a hair, at 64 pixels: it is thinner than the first and at least as long as the second, in pixels; and darker than
the skin beside it by more than the third in every channel, of 255."""
ANGLES = 8
STRIP = 8
"""A scale lies in a strip along a side of the image, whose width is the side divided by this."""

MEASURES = ("dark corners", "ink", "detail", "hair", "ruler")


def measured(images: AuditedImages) -> Mapping[str, np.ndarray]:
    """float64 [N] for each of `MEASURES`.

    dark corners: the share of the four corners that is nearly black, in [0,1]. ink: the share of all pixels that are
    blue or violet, as of a surgical marker, in [0,1]. detail: how strong the finest structures are beside slightly
    coarser ones, as a logarithm to base 10: low for images that were enlarged from fewer pixels. hair: the share of all
    pixels that are on thin, long, dark lines, in [0,1]. ruler: how regular the brightness along a side of the image is,
    as the share of its strongest frequency in [0,1]: high for the ticks of a scale.
    """
    found = {name: np.empty(len(images)) for name in MEASURES}
    for k, pixels in enumerate(images.chunks()):
        rows = slice(k * CHUNK, k * CHUNK + len(pixels))
        found["dark corners"][rows] = dark_corners(pixels)
        found["ink"][rows] = ink(pixels)
        found["detail"][rows] = detail(pixels)
        found["hair"][rows] = hair(pixels)
        found["ruler"][rows] = ruler(pixels)
    return found


def dark_corners(pixels: np.ndarray) -> np.ndarray:
    """The share of the pixels in the corners whose channels are all dark, float64 [n] of uint8 [n,S,S,3]."""
    size = pixels.shape[1]
    place = (np.arange(size) + 0.5) / size - 0.5
    corners = np.hypot(place[:, None], place[None]) > CORNER_RADIUS
    share: np.ndarray = (pixels[:, corners].max(axis=2) < DARK).mean(axis=1)
    return share


def ink(pixels: np.ndarray) -> np.ndarray:
    """The share of the pixels that are clearly more blue than red, float64 [n] of uint8 [n,S,S,3]."""
    red, blue = pixels[..., 0].astype(np.int16), pixels[..., 2].astype(np.int16)
    share: np.ndarray = ((blue > 60) & (5 * blue > 6 * red + 60)).mean(axis=(1, 2))
    return share


def detail(pixels: np.ndarray) -> np.ndarray:
    """The logarithm of the ratio of fine to slightly coarser structure, float64 [n] of uint8 [n,S,S,3]."""
    size = min(CENTRE, pixels.shape[1])
    start = (pixels.shape[1] - size) // 2
    centre = pixels[:, start : start + size, start : start + size]
    light = centre.sum(axis=3, dtype=np.int32).astype(np.float32)
    once, twice = applied(gauss(size, 0.7), light), applied(gauss(size, 1.6), light)
    fine, coarse = (light - once).var(axis=(1, 2)), (once - twice).var(axis=(1, 2))
    ratio: np.ndarray = np.log10((fine + 1e-2) / (coarse + 1e-2)).astype(np.float64)
    return ratio


def hair(pixels: np.ndarray) -> np.ndarray:
    """The share of the pixels on thin, long lines that are darker than what is beside them, float64 [n] of uint8
    [n,S,S,3]. A line is what closing by short lines fills and opening by long ones keeps, as in DullRazor (Lee et al.,
    Comput. Biol. Med. 27(6), 1997)."""
    import cv2

    scale = pixels.shape[1] / 64
    across = [_line(max(3, round(HAIR_WIDTH * scale) | 1), k / 4) for k in range(4)]
    along = [_line(max(5, round(HAIR_LENGTH * scale) | 1), k / ANGLES) for k in range(ANGLES)]
    share = np.empty(len(pixels))
    for i, image in enumerate(pixels):
        closed = np.max([cv2.morphologyEx(image, cv2.MORPH_CLOSE, line) for line in across], axis=0)
        thin = ((closed.astype(np.int16) - image).min(axis=2) > HAIR_DEPTH).astype(np.uint8)
        if not thin.any():
            share[i] = 0.0
            continue
        long = np.max([cv2.morphologyEx(thin, cv2.MORPH_OPEN, line) for line in along], axis=0)
        share[i] = long.mean()
    return share


def _line(length: int, turn: float) -> np.ndarray:
    """A line through the centre of uint8 [length,length], at `turn` of a half circle."""
    at = np.arange(length) - length // 2
    slope = np.array([np.sin(np.pi * turn), np.cos(np.pi * turn)])
    y, x = np.round(at * (slope / np.abs(slope).max())[:, None]).astype(int) + length // 2
    made = np.zeros((length, length), np.uint8)
    made[y, x] = 1
    return made


def ruler(pixels: np.ndarray) -> np.ndarray:
    """The share of the strongest frequency in the brightness along a side, of the side where it is largest, float64 [n]
    of uint8 [n,S,S,3]."""
    size = pixels.shape[1]
    width = max(1, size // STRIP)
    light = pixels.sum(axis=3, dtype=np.int32).astype(np.float32)
    sides = np.stack(
        [
            light[:, :width].mean(axis=1),
            light[:, -width:].mean(axis=1),
            light[:, :, :width].mean(axis=2),
            light[:, :, -width:].mean(axis=2),
        ]
    )
    fine = sides - sides @ gauss(size, size / 24).T
    power = np.abs(np.fft.rfft(fine * np.hanning(size), axis=2)) ** 2
    share: np.ndarray = (power.max(axis=2) / (power.sum(axis=2) + 1e-6 * size)).max(axis=0).astype(np.float64)
    return share
