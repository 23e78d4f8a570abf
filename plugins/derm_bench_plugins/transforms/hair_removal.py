"""Hair removal after DullRazor: Lee, Ng, Gallagher, Coldman and McLean, Comput. Biol. Med. 27(6), 1997.

- In the paper, each colour band is closed (grey-scale) by lines at 0, 45 and 90 degrees, and a pixel is hair if the
  largest closing of any band exceeds it by a threshold. Here, lines at 135 degrees are added, and the threshold must be
  exceeded in every band, so that vessels, which are hardly darker than skin in red, are kept.
- The paper then requires a hair to be long and thin, and measures runs along and across it. Here, the mask is opened by
  straight lines of `length` at 16 angles, at least one of which must fit; the closing does not find structures thicker
  than `width`.
- The paper interpolates across the hair and smooths the result. Here, the mask, widened by a pixel, is inpainted by
  fast marching (Telea 2004, OpenCV); pixels outside the mask do not change.

As in the paper, only dark hair on lighter skin is found; strong pigment networks, streaks and dark vessels can be
mistaken for hair. Lengths are fractions of the shorter side, whereas the paper's lengths are those of its photographs.
The transform gets images as they were read, before they are resized to the stored size, at which hairs may be thinner
than a pixel.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from derm_bench.specs import Task

RADIUS = 3  # radius of the neighbourhood used by inpainting, in pixels


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
        """Return the mask of hairs, widened by a pixel, uint8 [H,W] of 0 and 255."""
        side = min(pixels.shape[:2])
        width = max(3, round(self.options.width * side) | 1)
        length = max(width + 2, round(self.options.length * side) | 1)
        pixels = np.ascontiguousarray(pixels)
        closed = [cv2.morphologyEx(pixels, cv2.MORPH_CLOSE, line(width, 45 * k)) for k in range(4)]
        deeper = np.max(closed, axis=0).astype(np.int16) - pixels
        thin = ((deeper >= self.options.threshold).all(axis=2) * 255).astype(np.uint8)
        # Grow the mask by a pixel first, so that the steps of a bent hair from row to row leave no gaps. Growing it
        # further would include pigment networks.
        grown = cv2.dilate(thin, np.ones((2, 2), np.uint8))
        runs = [cv2.morphologyEx(grown, cv2.MORPH_OPEN, line(length, 180 * k / 16)) for k in range(16)]
        hair = np.max(runs, axis=0) & thin
        return cv2.dilate(hair, np.ones((3, 3), np.uint8))


def line(length: int, degrees: float) -> np.ndarray:
    """Return a straight line of ones through the middle, uint8 [length,length], with an odd number of pixels."""
    kernel, half = np.zeros((length, length), np.uint8), length // 2
    x, y = (round(half * f(math.radians(degrees))) for f in (math.cos, math.sin))
    cv2.line(kernel, (half - x, half - y), (half + x, half + y), 1)
    return kernel
