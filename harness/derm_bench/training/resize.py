"""Resizing, the same for real and synthetic images."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch.nn import functional as F

from derm_bench.images import ImageSet

CHUNK = 256
BYTES_TOGETHER = 2**21
"""The largest number of bytes that are resized together, unless one image has more."""

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
    return fit_squares([pixels], size, how)[0], None if mask is None else fit_mask(mask, size, how)


def fit_squares(images: Sequence[np.ndarray], size: int, how: Resize) -> list[np.ndarray]:
    """Convert images uint8 [H,W,3], each of its own size, to uint8 [size,size,3] as `fit_square` does. Those of one
    size are resized together, which takes a quarter of the time for small ones."""
    seen = [_view(pixels, how) for pixels in images]
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, view in enumerate(seen):
        alike[view.shape].append(place)
    squares = list(seen)
    for shape, places in alike.items():
        together = max(1, BYTES_TOGETHER // max(1, math.prod(shape)))
        for start in range(0, len(places), together):
            some = places[start : start + together]
            small = _shrunk(np.stack([seen[k] for k in some]), _target(shape, size, how))
            for place, pixels in zip(some, _padded(small, size), strict=True):
                squares[place] = pixels
    return squares


def fit_mask(mask: np.ndarray, size: int, how: Resize) -> np.ndarray:
    """Convert a mask uint8 [h,w] to uint8 [size,size] (nearest neighbour) as `fit_square` does."""
    view = _view(mask, how)
    rows, columns = (
        _nearest(old, new) for old, new in zip(view.shape, _target(view.shape, size, how), strict=True)
    )
    return _padded(view[None, rows[:, None], columns], size)[0]


def _view(array: np.ndarray, how: Resize) -> np.ndarray:
    """The part of an image that is shown."""
    if how != "center-crop":
        return array
    height, width = array.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return array[top : top + side, left : left + side]


def _target(shape: Sequence[int], size: int, how: Resize) -> tuple[int, int]:
    """The height and width to which a view of that shape is resized."""
    if how != "pad":
        return size, size
    scale = size / max(shape[:2])
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _padded(arrays: np.ndarray, size: int) -> np.ndarray:
    """Resized images [N,h,w,...] with black borders that make them squares."""
    n, height, width = arrays.shape[:3]
    if (height, width) == (size, size):
        return arrays
    canvas = np.zeros((n, size, size, *arrays.shape[3:]), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    canvas[:, top : top + height, left : left + width] = arrays
    return canvas


def _shrunk(images: np.ndarray, target: tuple[int, int]) -> np.ndarray:
    """Resize uint8 [N,H,W,C] to [N,*target,C], with the vectorised byte code of torch; within 1 of `resize_images`."""
    planes = torch.from_numpy(images).permute(0, 3, 1, 2)
    small = F.interpolate(planes, target, mode="bilinear", antialias=True)
    return np.ascontiguousarray(small.permute(0, 2, 3, 1).numpy())


def _nearest(old: int, new: int) -> np.ndarray:
    """The nearest of `old` pixels to each of `new` ones, int64 [new], as `nearest-exact` of torch has them."""
    scale = np.float32(old) / np.float32(new)
    places = ((np.arange(new, dtype=np.float32) + np.float32(0.5)) * scale).astype(np.int64)
    return np.minimum(places, old - 1)
