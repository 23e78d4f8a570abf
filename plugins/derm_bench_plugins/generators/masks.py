"""Masks of the lesions of a training set, given by the data set or found by Otsu's threshold, and bounding boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

if TYPE_CHECKING:
    from derm_bench.images import ImageSet

# Diameters as fractions of the side: of the disc used as fallback, and of the visible circle of a dermoscope.
CENTRE, VISIBLE = 0.5, 1.1


def lesion_masks(train: ImageSet) -> torch.Tensor:
    """Return masks uint8 [N,1,S,S] of 0 and 255, none of them empty.

    They are `train.masks`, and the result of `otsu_mask` for images whose mask is missing or empty.
    """
    given = train.masks if train.masks is not None else torch.zeros_like(train.images[:, :1])
    masks = given.clone(memory_format=torch.contiguous_format)
    for k in torch.nonzero((given == 0).flatten(1).all(dim=1)).flatten().tolist():
        pixels = train.images[k].permute(1, 2, 0).contiguous().numpy()
        masks[k, 0] = torch.from_numpy(otsu_mask(pixels))
    return masks


def skin_tones(images: torch.Tensor, lesion: torch.Tensor) -> torch.Tensor:
    """Return the mean colour, float32 [N,3], of images [N,3,S,S] outside the masks [N,1,S,S] in [0,1].

    If a mask covers the whole image, the mean is over the whole image. Only plain tensor operations are used.
    """
    outside = 1 - lesion + 1e-4
    return (images * outside).sum(dim=(2, 3)) / outside.sum(dim=(2, 3))


def otsu_mask(pixels: np.ndarray) -> np.ndarray:
    """Return the largest dark region of an image uint8 [S,S,3], as uint8 [S,S] of 0 and 255.

    Otsu's threshold (1979) is applied to the smoothed grey image, because lesions are darker than skin. Corners are
    left out, because they show the black tube of a dermoscope. Holes are filled. If the image has only one grey value,
    the result is a centred disc.
    """
    side = len(pixels)
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (5, 5), 0)
    visible = disc(side, VISIBLE)
    threshold, _ = cv2.threshold(grey[visible > 0][:, None], 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    dark = np.where((grey <= threshold) & (visible > 0), 255, 0).astype(np.uint8)
    if grey[visible > 0].min() == grey[visible > 0].max():
        return disc(side, CENTRE)
    return filled(largest_component(dark))


def largest_component(mask: np.ndarray) -> np.ndarray:
    """Return the largest 8-connected region of a non-empty mask uint8 [H,W]; of equally large ones, the first."""
    _, regions, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    return np.where(regions == largest, 255, 0).astype(np.uint8)


def component_at(mask: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the 8-connected region of a non-empty mask uint8 [H,W] that is nearest to `place` (y, x)."""
    _, regions = cv2.connectedComponents(mask, connectivity=8)
    marked = np.argwhere(mask > 0)
    nearest = marked[np.square(marked - place).sum(axis=1).argmin()]
    return np.where(regions == regions[tuple(nearest)], 255, 0).astype(np.uint8)


def filled(mask: np.ndarray) -> np.ndarray:
    """Return a mask uint8 [H,W] with its holes filled."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(mask), outlines, -1, 255, cv2.FILLED)


def disc(side: int, diameter: float) -> np.ndarray:
    """Return a centred disc, uint8 [side,side]. `diameter` is a fraction of the side."""
    axis = np.arange(side) - (side - 1) / 2
    inside = axis[:, None] ** 2 + axis**2 <= (diameter * side / 2) ** 2
    return np.where(inside, 255, 0).astype(np.uint8)


def boxes(masks: torch.Tensor) -> torch.Tensor:
    """Return the bounding boxes of masks [N,1,H,W] of any dtype, on any device: bool [N,1,H,W], true inside.

    The box is empty if a mask nowhere exceeds half of its range. Only plain tensor operations are used, so that a
    training step may call this function.
    """
    half = 127 if masks.dtype == torch.uint8 else 0.5
    inside = masks > half
    return between_ends(inside.any(dim=3)).unsqueeze(3) & between_ends(inside.any(dim=2)).unsqueeze(2)


def between_ends(marks: torch.Tensor) -> torch.Tensor:
    """Return bool [...,L], true from the first mark of each row to the last."""
    begun = marks.int().cummax(dim=-1).values
    unfinished = marks.flip(-1).int().cummax(dim=-1).values.flip(-1)
    return (begun * unfinished).bool()
