"""mixup: Zhang, Cisse, Dauphin and Lopez-Paz, ICLR 2018 (their equation in section 1 and figure 1a).

x = lambda x_i + (1 - lambda) x_j and y = lambda y_i + (1 - lambda) y_j, with lambda ~ Beta(alpha, alpha) drawn once per
batch and j a permutation of that batch, as in the paper's code. The default of alpha is 0.2, because the paper finds
0.1 to 0.4 best on ImageNet. The paper mixes every batch (`p` 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from derm_bench_plugins.transforms.beta import Beta, happens

if TYPE_CHECKING:
    from derm_bench.specs import Task


class Mixup:
    """(images [N,C,H,W], targets [N,K], generator) -> images and soft targets of the same shapes."""

    def __init__(self, options: Any, task: Task) -> None:
        self.p, self.beta = options.p, Beta(options.alpha, task.device)

    def __call__(
        self, images: torch.Tensor, targets: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        share = self.beta(1, generator)
        other = torch.randperm(len(images), generator=generator, device=generator.device)
        share = torch.where(happens(self.p, generator), share, 1.0)
        return torch.lerp(images[other], images, share), torch.lerp(targets[other], targets, share)
