"""Gamma correction: O = I^(1 / gamma) for pixels in [0,1]. Paper 004 uses gamma 1.5, which brightens images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from derm_bench.specs import Task


class Gamma:
    """uint8 [H,W,3] -> the same shape, by a table of all 256 values, rounded to the nearest integer."""

    def __init__(self, options: Any, task: Task) -> None:
        self.before_resize = bool(options.before_resize)
        levels = np.arange(256) / 255
        self.table: np.ndarray = np.rint(255 * levels ** (1 / options.gamma)).astype(np.uint8)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        corrected: np.ndarray = self.table[pixels]
        return corrected
