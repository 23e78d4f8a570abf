"""Weight initialisations from papers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

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
    with _batch_norms(net, momentum=1.0):
        net(*inputs)


@torch.no_grad()
def recalibrate_statistics(net: nn.Module, batches: Iterable[tuple[torch.Tensor, ...]]) -> None:
    """Set the running statistics of all BatchNorm layers to the means over `batches`, each a tuple of inputs.

    The running statistics of torch average over the last updates, in which the weights changed; at the end of a fit
    they lag behind by up to 0.1 standard deviations, which shifts the colours of samples drawn in eval mode. A network
    without BatchNorm is not called. (torch.optim.swa_utils.update_bn passes one input only.)
    """
    norms = _norms(net)
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
    with _batch_norms(net, momentum=None):  # None: the mean over all batches
        for inputs in batches:
            net(*inputs)


def _norms(net: nn.Module) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    return [m for m in net.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)]


@contextmanager
def _batch_norms(net: nn.Module, momentum: float | None) -> Iterator[None]:
    """Put a network into train mode, with this momentum of its BatchNorm layers."""
    norms, training = _norms(net), net.training
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = momentum
    net.train()
    yield
    net.train(training)
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum
