"""Conditional batch normalisation of generators (Dumoulin et al. 2017; in GANs, Miyato and Koyama 2018)."""

from __future__ import annotations

import torch
from torch import nn


class ConditionalBatchNorm2d(nn.Module):
    """Features [N,C,H,W] and targets [N,K] -> normalised features [N,C,H,W], with a scale and a shift for each class.

    The statistics are those of all classes together, as in BatchNorm. The scales start at 1 and the shifts at 0, so
    that a new layer is a BatchNorm that does not know the class. Soft targets mix the scales and shifts of their
    classes. `norm` holds the running statistics, which `start_statistics` sets.
    """

    def __init__(self, channels: int, classes: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=eps, momentum=momentum, affine=False)
        # Not layers, so that initialisations of networks leave them as they are.
        self.scale = nn.Parameter(torch.ones(classes, channels))
        self.shift = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, x: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        normal = self.norm(x)
        scale, shift = (_of_rows(targets, table).to(normal.dtype) for table in (self.scale, self.shift))
        return normal * scale[:, :, None, None] + shift[:, :, None, None]


def _of_rows(targets: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Return targets [N,K] times table [K,C], float32 [N,C]. Not a matrix product, which autocast would round."""
    return (targets.unsqueeze(2) * table).sum(dim=1)
