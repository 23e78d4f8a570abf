"""Hair removal after DullRazor: Lee, Ng, Gallagher, Coldman and McLean, Comput. Biol. Med. 27(6), 1997.

- In the paper each colour band is closed (grey-scale) by lines at 0, 45 and 90 degrees, and a pixel is hair where the
  largest closing of any band exceeds it by a threshold. Here also at 135 degrees, and in every band, so that
  vessels, which are hardly darker than skin in red, stay.
- The paper then asks that a hair be long and thin, measuring runs along and across it. Here the mask is opened by
  straight lines of `length` at 16 angles, of which any may fit; the closing does not find structures thicker than
  `width`.
- The paper interpolates across the hair and smooths. Here the mask, a pixel wider, is inpainted by fast marching (Telea
  2004, OpenCV); pixels outside of it stay as they are.

Only dark hair on lighter skin is found, as in the paper; strong pigment networks, streaks and dark vessels can be taken
for it. Lengths are shares of the shorter side: the paper's are those of its own photographs. It gets images as
they were read, before they are resized to the stored size, at which hairs may be thinner than a pixel.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from derm_bench.specs import Task

RADIUS = 3  # of the neighbourhood that inpainting looks at, in pixels


class HairRemoval:
    """uint8 [H,W,3] -> the same shape without hairs."""

    before_resize = True

    def __init__(self, options: Any, task: Task) -> None:
        self.options = options

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        mask = self.mask(pixels)
        if not mask.any():
            return pixels
        return cv2.inpaint(np.ascontiguousarray(pixels), mask, RADIUS, cv2.INPAINT_TELEA)

    def mask(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 [H,W], 255 where a hair and the pixel beside it are."""
        side = min(pixels.shape[:2])
        width = max(3, round(self.options.width * side) | 1)
        length = max(width + 2, round(self.options.length * side) | 1)
        pixels = np.ascontiguousarray(pixels)
        closed = [cv2.morphologyEx(pixels, cv2.MORPH_CLOSE, line(width, 45 * k)) for k in range(4)]
        deeper = np.max(closed, axis=0).astype(np.int16) - pixels
        thin = ((deeper >= self.options.threshold).all(axis=2) * 255).astype(np.uint8)
        # Grown by a pixel first, so that the steps of a bent hair from row to row are no gaps. More would let networks
        # pass.
        grown = cv2.dilate(thin, np.ones((2, 2), np.uint8))
        runs = [cv2.morphologyEx(grown, cv2.MORPH_OPEN, line(length, 180 * k / 16)) for k in range(16)]
        hair = np.max(runs, axis=0) & thin
        return cv2.dilate(hair, np.ones((3, 3), np.uint8))


def line(length: int, degrees: float) -> np.ndarray:
    """uint8 [length,length]: a straight line of ones through the middle, an odd number of pixels long."""
    kernel, half = np.zeros((length, length), np.uint8), length // 2
    x, y = (round(half * f(math.radians(degrees))) for f in (math.cos, math.sin))
    cv2.line(kernel, (half - x, half - y), (half + x, half + y), 1)
    return kernel
