"""Restoration of small or soft photographs: Lanczos upscaling and an unsharp mask, or a trained network.

Paper 001 restores its low-resolution faces with DFDNet (Li et al., ECCV 2020) before it trains its GAN. DFDNet finds
faces by dlib's landmarks, looks up their parts in dictionaries of eyes, noses and mouths, and outputs only 512 pixels.
It cannot be used for skin lesions and is not part of derm-bench. This transform replaces it, and treats train, val and
test images alike.

The image is enlarged as it was read, before it is resized to the stored size. Use the transform if the stored size is
larger than the photographs, or to add detail by a network. An image that is resized back to its original size only
becomes sharper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from derm_bench.specs import Task


class Restore:
    """uint8 [H,W,3] -> uint8 [factor H, factor W, 3]. The network's module, with torch, is imported only for
    weights."""

    before_resize = True

    def __init__(self, options: Any, task: Task) -> None:
        self.options = options
        self.upscaler: Any = None
        if options.weights is not None:
            from derm_bench_plugins.transforms.super_resolution import Upscaler

            self.upscaler = Upscaler(options.network, options.factor, options.weights)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        if self.options.below is not None and min(pixels.shape[:2]) >= self.options.below:
            return pixels
        return self.upscaler(pixels) if self.upscaler else self.sharpened(pixels)

    def sharpened(self, pixels: np.ndarray) -> np.ndarray:
        """Return the image enlarged by Lanczos to `factor` times its size, then x + sharpen (x - blurred x)."""
        height, width = pixels.shape[:2]
        factor = self.options.factor
        larger = Image.fromarray(pixels).resize((factor * width, factor * height), Image.Resampling.LANCZOS)
        percent = round(100 * self.options.sharpen)
        mask = ImageFilter.UnsharpMask(self.options.radius * factor, percent, threshold=0)
        return np.asarray(larger.filter(mask))
