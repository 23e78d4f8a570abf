"""One resize path for real and synthetic images alike."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional as F

from derm_bench.images import ImageSet

CHUNK = 256


def resize_images(images: torch.Tensor, size: int) -> torch.Tensor:
    """uint8 [N,3,H,W] -> uint8 [N,3,size,size], bilinear, antialiased when shrinking; the same tensor if it fits."""
    if images.shape[-2:] == (size, size):
        return images
    parts = [
        F.interpolate(part.float(), (size, size), mode="bilinear", antialias=True)
        .round_()
        .clamp_(0, 255)
        .byte()
        for part in images.split(CHUNK)
    ]
    return torch.cat(parts) if parts else images.new_empty((0, 3, size, size))


def resized(images: ImageSet, size: int) -> ImageSet:
    """An ImageSet with its images at `size`, its masks along with them (nearest)."""
    if images.size == size:
        return images
    masks = images.masks
    if masks is not None:
        masks = F.interpolate(masks.float(), (size, size), mode="nearest").byte()
    return replace(images, images=resize_images(images.images, size), masks=masks)
