"""Control `blur`: real training images, drawn again and blurred by a Gaussian. It shows the effect of low
frequencies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torchvision.transforms.v2 import functional as tv

from derm_bench_plugins.generators.controls.real_images import RealImages

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.blur import BlurOptions


class Blur(RealImages):
    """Training images convolved with a Gaussian that is cut off at 3 sigma. They are reflected at the edge."""

    def __init__(self, options: BlurOptions, task: Task) -> None:
        super().__init__(options, task)
        self.sigma = options.sigma

    def altered(self, images: torch.Tensor) -> torch.Tensor:
        reach = min(math.ceil(3 * self.sigma), images.shape[-1] - 1)  # an image can be reflected only once
        blurred: torch.Tensor = tv.gaussian_blur(images, [2 * reach + 1] * 2, [self.sigma] * 2)
        return blurred
