"""Weight initialisation by paper."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def dcgan_init(net: nn.Module) -> None:
    """Radford et al. 2016, section 4: weights ~ N(0, 0.02). Scales of BatchNorm ~ N(1, 0.02) and biases 0, as
    in the authors' code."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
