"""Colour transforms of images in [0,1]. Most draw one factor per image and blend the image with a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from derm_bench.training.augment import uniform

if TYPE_CHECKING:
    from derm_bench.specs import Task

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


class Hue:
    """Rotates the colour circle of HSV by one angle per image. Value, saturation and greys do not change.

    A channel is V - C clip(min(k, 4 - k), 0, 1) with k = (n + H) mod 6, where n = 5, 3, 1 for red, green and blue, V is
    the largest channel, C is its difference from the smallest channel, and H is the hue in sixths of the circle.
    """

    def __init__(self, options: Any, task: Task) -> None:
        self.amount = options.amount
        self.first = torch.tensor((5.0, 3.0, 1.0), device=task.device).view(1, 3, 1, 1)

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        shift = uniform(len(images), -self.amount, self.amount, generator).to(images.device)
        hue, value, chroma = _hue(images)
        hue = hue + 6 * shift.view(-1, 1, 1, 1)
        k = (self.first + hue) % 6
        return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)


class PixelJitter:
    """Adds independent normal noise to each value, with a standard deviation drawn per image.

    The ISIC pipelines that paper 002 lists (reference 12) mention "pixel jitter" without details. It is implemented as
    noise on the values, not as a displacement of pixels.
    """

    def __init__(self, options: Any, task: Task) -> None:
        self.amount = options.amount

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        deviation = uniform(len(images), 0, self.amount, generator).view(-1, 1, 1, 1)
        noise = torch.randn(images.shape, generator=generator, device=generator.device)
        return (images + (deviation * noise).to(images.device)).clamp_(0, 1)


def _hue(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the hue in sixths of the circle (0 for greys), the largest channel, and its difference from the smallest,
    [N,1,H,W] each."""
    red, green, blue = images.split(1, dim=1)
    value = images.amax(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    safe = chroma.clamp(min=1e-6)  # for greys, whose differences are 0
    towards_blue = torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    return torch.where(value == red, (green - blue) / safe, towards_blue), value, chroma


def _grey(images: torch.Tensor) -> torch.Tensor:
    """Return the grey values, float32 [N,1,H,W].

    The weights are Python numbers, which are passed to the kernels as arguments. A tensor of them would have to be
    copied to the device, which waits for its queue.
    """
    red, green, blue = images.split(1, dim=1)
    grey: torch.Tensor = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return grey
