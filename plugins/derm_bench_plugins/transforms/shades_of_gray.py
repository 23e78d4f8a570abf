"""Shades of gray: Finlayson and Trezzi, "Shades of gray and colour constancy", CIC 2004.

The colour of the light is e_c = (mean of I_c^p)^(1/p) over the pixels, with p 6 as in the paper. Each channel becomes
I_c / (sqrt(3) e_c / |e|), so that a colourless light changes nothing. The transform uses the stored values, because the
paper leaves open whether to undo the camera's gamma first. Values above white are clipped.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from derm_bench.specs import Task


class ShadesOfGray:
    """uint8 [H,W,3] -> the same shape. A channel that is black everywhere stays black."""

    def __init__(self, options: Any, task: Task) -> None:
        self.p = options.p

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        values = pixels.astype(np.float64) / 255
        largest = values.max()
        if largest == 0:
            return pixels
        # Relative to the largest value, so that a large p does not take everything to 0.
        light = largest * ((values / largest) ** self.p).mean(axis=(0, 1)) ** (1 / self.p)
        part = math.sqrt(3) * light / np.linalg.norm(light)
        even = values / np.where(part > 0, part, 1.0)
        levels: np.ndarray = np.rint(255 * even.clip(0, 1)).astype(np.uint8)
        return levels
