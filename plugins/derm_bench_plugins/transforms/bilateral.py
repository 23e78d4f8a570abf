"""Bilateral filter: Tomasi and Manduchi, ICCV 1998, by OpenCV.

Paper 004 filters its photographs and corrects their gamma, and "further cropped the images into 64 x 64 pixels" (its
figure 6). The filter therefore runs before the resize. In an image of 64 px, a neighbourhood of 9 px is a seventh of
the side, and the filter removes the pigment network; `before_resize: false` asks for this. The paper states no
parameters; the defaults are those of OpenCV's examples (d 9, both sigmas 75).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from derm_bench.specs import Task


class Bilateral:
    """uint8 [H,W,3] -> the same shape: each pixel the mean of its neighbours, weighted by distance and by colour."""

    def __init__(self, options: Any, task: Task) -> None:
        self.options = options
        self.before_resize: bool = options.before_resize

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        options = self.options
        return cv2.bilateralFilter(
            np.ascontiguousarray(pixels), options.d, options.sigma_color, options.sigma_space
        )
