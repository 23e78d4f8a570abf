"""What is measured of the pixels of every image, to see whether it tells classes apart: dark corners, ink, and detail.

Rulers and hair are not measured: at the sizes at which images are stored no simple measure of them held up.
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

MEASURES = ("dark corners", "ink", "detail")


def measured(images: AuditedImages) -> Mapping[str, np.ndarray]:
    """float64 [N] for each of `MEASURES`.

    dark corners: the share of the four corners that is nearly black, in [0,1]. ink: the share of all pixels that are
    blue or violet, as of a surgical marker, in [0,1]. detail: how strong the finest structures are beside slightly
    coarser ones, as a logarithm to base 10: low for images that were enlarged from fewer pixels.
    """
    found = {name: np.empty(len(images)) for name in MEASURES}
    for k, pixels in enumerate(images.chunks()):
        rows = slice(k * CHUNK, k * CHUNK + len(pixels))
        found["dark corners"][rows] = dark_corners(pixels)
        found["ink"][rows] = ink(pixels)
        found["detail"][rows] = detail(pixels)
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
