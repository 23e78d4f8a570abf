"""What AA-GAN needs of a photograph: where hair is, which part of the scalp is bald, and the picture without hair.

The mask of hair is that of the data set. Without one it is found: hair is where lines have a clear orientation and the
colour is that of most such places. The scalp is the hair with the holes and bays in it, up to a tenth of the side, so
that bald patches count as scalp and the face does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from derm_bench_plugins.generators.masks import filled
from derm_bench_plugins.hair.maps import growth, orientation

LEAST = 0.01  # of the image; with less hair there is nothing to do
BAY = 0.1  # radius of the disc that closes bays of the hair, as a fraction of the side
AROUND = 0.03  # beyond the hair, that is taken out with it: single strands lie there
GAP = 0.012  # radius of gaps between strands that count as hair, as a fraction of the side
CLEAREST = 92  # percentile of the confidence above which places decide on the colour of hair
NEAR = 1.6  # standard deviations of the colour of hair
SMOOTH = 1 / 32  # deviation of the blur of the confidence, as a fraction of the side


@dataclass(frozen=True)
class Photograph:
    """pixels: float32 [s,s,3] in [0,1]; hair, scalp: bool [s,s]; bare: float32 [s,s,3], the picture without its hair;
    lab: float32 [n,3], the colours of the pixels with hair."""

    pixels: np.ndarray
    hair: np.ndarray
    scalp: np.ndarray
    bare: np.ndarray
    lab: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, mask: np.ndarray | None) -> Photograph:
        """Look at an image uint8 [s,s,3] with its mask uint8 [s,s] of 0 and 255; an empty one counts as none."""
        hair = closed(mask > 127) if mask is not None and mask.any() else hair_mask(image)
        pixels = image.astype(np.float32) / 255
        marked = np.where(hair, 255, 0).astype(np.uint8)
        bare = pixels
        if hair.any() and not hair.all():
            hole = cv2.dilate(marked, disc(max(1, round(AROUND * len(image)))))
            bare = cv2.inpaint(image, hole, 3, cv2.INPAINT_TELEA).astype(np.float32) / 255
        return cls(pixels, hair, scalp_of(hair), bare, to_lab(pixels)[hair])

    @property
    def has_hair(self) -> bool:
        """Whether there is enough hair to work with."""
        return bool(self.hair.mean() >= LEAST)

    @property
    def bald(self) -> np.ndarray:
        """Where the scalp has no hair, bool [s,s]."""
        return np.asarray(self.scalp & ~self.hair)


def closed(hair: np.ndarray) -> np.ndarray:
    """Return hair, bool [s,s], without the gaps between strands."""
    marked = np.where(hair, 255, 0).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(marked, cv2.MORPH_CLOSE, disc(max(1, round(GAP * len(hair))))) > 0)


def scalp_of(hair: np.ndarray) -> np.ndarray:
    """Return the hair with its holes and bays, bool [s,s]."""
    if not hair.any():
        return hair
    reach = max(1, round(BAY * len(hair)))
    # Beyond the frame there is neither hair nor skin; without a border, closing would fill up to it.
    padded = np.pad(np.where(hair, 255, 0).astype(np.uint8), 2 * reach)
    closed = filled(cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc(reach)))
    inside: np.ndarray = closed[2 * reach : -2 * reach, 2 * reach : -2 * reach] > 0
    return inside


def bald_share(hair: np.ndarray) -> float:
    """Return the share of the scalp without hair, of hair bool [s,s]; 0 without any hair."""
    scalp = scalp_of(hair)
    return float((scalp & ~hair).sum() / max(1, scalp.sum()))


def hair_mask(image: np.ndarray) -> np.ndarray:
    """Return where an image uint8 [s,s,3] shows hair, bool [s,s]; nowhere if no lines are found."""
    side = len(image)
    tensor = torch.from_numpy(image.transpose(2, 0, 1).copy())[None]
    whole = torch.ones(1, 1, side, side)
    confidence = orientation(tensor, whole, growth(whole))[0, 2].numpy()
    smooth = cv2.GaussianBlur(confidence, (0, 0), max(1.0, SMOOTH * side))
    if smooth.max() <= 0 or smooth.max() == smooth.min():
        return np.zeros((side, side), bool)
    grey = np.round(255 * smooth / smooth.max()).astype(np.uint8)
    limit, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    clear = grey > max(limit, np.percentile(grey, CLEAREST))
    lab = to_lab(cv2.GaussianBlur(image, (0, 0), 1).astype(np.float32) / 255)
    sure = lab[clear]
    if len(sure) < LEAST * side * side:
        return np.zeros((side, side), bool)
    middle = np.median(sure, axis=0)
    spread = 1.4826 * np.median(np.abs(sure - middle), axis=0) + 1.0
    alike = np.sqrt((((lab - middle) / spread) ** 2).mean(axis=2)) < NEAR
    mask = np.where(alike & (grey > limit / 2), 255, 0).astype(np.uint8)
    kernel = disc(max(1, round(0.02 * side)))
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, kernel) > 0)


def disc(radius: int) -> np.ndarray:
    """Return a structuring element, a disc of this radius in pixels."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))


def to_lab(pixels: np.ndarray) -> np.ndarray:
    """Return CIE L*a*b* of RGB float32 [...,3] in [0,1]."""
    flat = np.ascontiguousarray(pixels.reshape(1, -1, 3), dtype=np.float32)
    return np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2LAB)).reshape(pixels.shape)


def to_rgb(lab: np.ndarray) -> np.ndarray:
    """Return RGB float32 [...,3] in [0,1] of CIE L*a*b*."""
    flat = np.ascontiguousarray(lab.reshape(1, -1, 3), dtype=np.float32)
    return np.clip(cv2.cvtColor(flat, cv2.COLOR_LAB2RGB), 0, 1).reshape(lab.shape)
