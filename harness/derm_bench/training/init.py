"""Weight initialisations from papers."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def dcgan_init(net: nn.Module) -> None:
    """Initialise as in Radford et al. 2016, section 4: weights ~ N(0, 0.02). Norm scales ~ N(1, 0.02) and biases 0, as
    in the authors' code."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d | nn.InstanceNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


@torch.no_grad()
def he_init(net: nn.Module) -> None:
    """Initialise as in He et al. 2015, eq. 10: weights ~ N(0, sqrt(2 / fan in)), biases 0, so that signals keep their
    magnitude through layers with ReLU."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


@torch.no_grad()
def start_statistics(net: nn.Module, *inputs: torch.Tensor) -> None:
    """Set the running statistics of all BatchNorm layers to the statistics of one batch of `inputs`.

    Torch initialises them with mean 0 and variance 1, and they take about 50 updates to converge. Until then, samples
    drawn in eval mode are flat grey.
    """
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    training = net.training
    net.train()
    net(*inputs)
    net.train(training)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
