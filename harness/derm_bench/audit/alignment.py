"""Aligns two images and measures how well they agree in detail."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from derm_bench.audit.resample import applied, gauss

STEPS, PRECISION = 30, 1e-4
MAX_STRETCH = 1.3
"""The largest factor between the two axes, and MAX_AREA between the areas, by which versions of an image differ."""
MAX_AREA = 1.6


class Guess(NamedTuple):
    """How one of two images may lie in the other before they are aligned: as a crop of scale `scale`, shifted
    `across` and `down` (-1..1 of the room that the crop leaves), of the second image or (`of_first`) of the first,
    which may be mirrored."""

    mirrored: bool = False
    of_first: bool = False
    scale: float = 1.0
    across: float = 0.0
    down: float = 0.0


def details(grey: np.ndarray) -> np.ndarray:
    """The details of images of luminance 0..255 [n,S,S], float32: structures of 1 to 3 pixels, divided by how strong
    structures are around them, so that a dark border counts no more than a faint network."""
    size = grey.shape[-1]
    light = np.log1p(grey)
    fine = applied(gauss(size, 0.8), light) - applied(gauss(size, 3.0), light)
    strength = applied(gauss(size, 4.0), fine * fine)
    made: np.ndarray = (fine / (np.sqrt(np.maximum(strength, 0)) + 0.02)).astype(np.float32)
    return made


def agreement(first: np.ndarray, second: np.ndarray, guess: Guess) -> float:
    """The correlation of the details [S,S] of two images after the affine map that aligns them best (Evangelidis and
    Psarakis 2008, as in OpenCV); 0 if there is none, or if it is not that of a crop of at least 60% of the area."""
    import cv2

    size = first.shape[-1]
    first = np.ascontiguousarray(first[:, ::-1]) if guess.mirrored else first
    room = size * (1 - guess.scale) / 2
    shift = (guess.scale - 1) / 2
    start = np.array(
        [
            [guess.scale, 0, room * (1 + guess.across) + shift],
            [0, guess.scale, room * (1 + guess.down) + shift],
        ],
        np.float32,
    )
    template, image = (second, first) if guess.of_first else (first, second)
    ends = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, STEPS, PRECISION)
    mask = np.full(image.shape, 255, np.uint8)
    try:
        found, warp = cv2.findTransformECC(template, image, start, cv2.MOTION_AFFINE, ends, mask, 3)
    except cv2.error:  # it does not converge
        return 0.0
    stretches = np.linalg.svd(np.asarray(warp)[:, :2].astype(np.float64), compute_uv=False)
    area = float(stretches[0] * stretches[1])
    plausible = 1 / MAX_AREA <= area <= MAX_AREA and stretches[0] <= MAX_STRETCH * stretches[1]
    return float(found) if plausible and np.isfinite(found) else 0.0
