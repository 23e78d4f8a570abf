"""Colour transforms of images in [0,1]: each draws one factor an image and blends with a reference."""

from __future__ import annotations

from typing import Any

import torch

from derm_bench.specs import Task
from derm_bench.training.augment import uniform

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class _Blend:
    """factor * images + (1 - factor) * reference(images), clipped to [0,1]."""

    def __init__(self, options: Any, task: Task) -> None:
        self.amount = options.amount

    def reference(self, images: torch.Tensor) -> torch.Tensor:
        raise TypeError(f"{type(self).__name__} must define reference()")

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        factor = uniform(len(images), 1 - self.amount, 1 + self.amount, generator)
        factor = factor.to(images.device).view(-1, 1, 1, 1)
        return torch.lerp(self.reference(images), images, factor).clamp_(0, 1)


class Brightness(_Blend):
    def reference(self, images: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(images)


class Contrast(_Blend):
    def reference(self, images: torch.Tensor) -> torch.Tensor:
        return _grey(images).mean(dim=(2, 3), keepdim=True).expand_as(images)


class Saturation(_Blend):
    def reference(self, images: torch.Tensor) -> torch.Tensor:
        return _grey(images).expand_as(images)


def _grey(images: torch.Tensor) -> torch.Tensor:
    """float32 [N,1,H,W]."""
    weights = torch.tensor(LUMA, device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)
