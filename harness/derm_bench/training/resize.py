"""Resizing, the same for real and synthetic images."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch.nn import functional as F

from derm_bench.images import ImageSet

CHUNK = 256

Resize = Literal["center-crop", "squash", "pad"]


def resize_images(images: torch.Tensor, size: int) -> torch.Tensor:
    """Resize uint8 [N,3,H,W] to uint8 [N,3,size,size], bilinear, antialiased when shrinking. The same tensor is
    returned if it has that size. The values do not depend on the memory layout of `images`."""
    if images.shape[-2:] == (size, size):
        return images
    parts = [
        F.interpolate(part.contiguous().float(), (size, size), mode="bilinear", antialias=True)
        .round_()
        .clamp_(0, 255)
        .byte()
        for part in images.split(CHUNK)
    ]
    return torch.cat(parts) if parts else images.new_empty((0, 3, size, size))


def resized(images: ImageSet, size: int) -> ImageSet:
    """Return an ImageSet with images and masks (nearest neighbour) resized to `size`, and unchanged named data."""
    if images.size == size:
        return images
    masks = images.masks
    if masks is not None:
        masks = F.interpolate(masks.contiguous().float(), (size, size), mode="nearest").byte()
    return replace(images, images=resize_images(images.images, size), masks=masks)


def fit_square(
    pixels: np.ndarray, mask: np.ndarray | None, size: int, how: Resize
) -> tuple[np.ndarray, np.ndarray | None]:
    """Convert an image and its mask to squares.

    pixels: uint8 [H,W,3]; mask: uint8 [h,w] or None, of the same view, possibly in another resolution.
    `center-crop` keeps the central square, `squash` changes the aspect ratio, `pad` adds black borders.
    Returns uint8 [size,size,3] (bilinear, antialiased) and uint8 [size,size] (nearest neighbour) or None.
    """
    square = _square(pixels, size, how, nearest=False)
    return square, None if mask is None else _square(mask[..., None], size, how, nearest=True)[..., 0]


def _square(array: np.ndarray, size: int, how: Resize, nearest: bool) -> np.ndarray:
    height, width, channels = array.shape
    target = (size, size)
    if how == "center-crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        array = array[top : top + side, left : left + side]
    elif how == "pad":
        scale = size / max(height, width)
        target = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = _resize(array, target, nearest)
    if how != "pad":
        return small
    canvas = np.zeros((size, size, channels), np.uint8)
    top, left = (size - target[0]) // 2, (size - target[1]) // 2
    canvas[top : top + target[0], left : left + target[1]] = small
    return canvas


def _resize(array: np.ndarray, target: tuple[int, int], nearest: bool) -> np.ndarray:
    """Resize uint8 [H,W,C] to [*target,C], with the vectorised byte code of torch; within 1 of `resize_images`."""
    writeable = (
        array if array.flags.writeable else array.copy()
    )  # arrays of Pillow are not, and torch warns about them
    planes = torch.from_numpy(writeable).permute(2, 0, 1)[None]
    if nearest:
        planes = F.interpolate(planes, target, mode="nearest-exact")
    else:
        planes = F.interpolate(planes, target, mode="bilinear", antialias=True)
    return planes[0].permute(1, 2, 0).numpy()
