"""sharpness_gap: the distance between how sharp real images are and how sharp synthetic ones are.

Generators that average come out blurred, and those that leave a checkerboard or noise too sharp; a Frechet distance on
the features of a network says little about either.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance
from torch.nn import functional as F

from derm_bench.api import Task
from derm_bench_sharpness import SharpnessOptions

LAPLACIAN = ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0))
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
FLAT = 1.0  # grey levels squared: the variance of rounding in a flat image, so that its logarithm is defined


class Sharpness:
    """The extractor: uint8 images [N,3,H,W] -> float64 [N,scales], log2 of the variance of the Laplacian (grey levels
    of 0 to 255) at full resolution, half of it, and so on while 8 pixels are left.

    `name` is shown in fidelity.csv. Features depend on single images, so the harness computes them once per image set.
    """

    def __init__(self, options: SharpnessOptions, device: str) -> None:
        self.scales, self.device = options.scales, device
        self.name = f"laplacian-{options.scales}"

    @torch.inference_mode()
    def __call__(self, images: torch.Tensor) -> NDArray[np.float64]:
        weights = torch.tensor(LUMA, device=self.device).view(1, 3, 1, 1)
        kernel = torch.tensor(LAPLACIAN, device=self.device).view(1, 1, 3, 3)
        grey = (images.to(self.device).float() * weights).sum(1, keepdim=True)
        columns = []
        for _ in range(self.scales):
            variance = F.conv2d(grey, kernel).double().var((1, 2, 3), correction=0)
            columns.append((variance + FLAT).log2())
            if min(grey.shape[2:]) >= 16:
                grey = F.avg_pool2d(grey, 2)
        return torch.stack(columns, 1).cpu().numpy()


class SharpnessGap:
    """The metric: Wasserstein-1 distance between the two distributions of each feature, mean over the scales. 0 is
    best; 1 means that edge energy is off by a factor of two."""

    def __init__(self, options: Any, task: Task) -> None:
        """Stores nothing, because only the extractor has options."""

    def compute(self, real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> dict[str, float]:
        """Features float64 [N,scales] and [M,scales]."""
        gaps = [wasserstein_distance(a, b) for a, b in zip(real.T, synthetic.T, strict=True)]
        return {"sharpness_gap": float(np.mean(gaps))}
