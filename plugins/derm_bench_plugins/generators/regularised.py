"""Spectral normalisation and dropout of a discriminator, for any network of convolutions and linear layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

if TYPE_CHECKING:
    from derm_bench_plugins.generators.specs.common import TwoPlayerOptions


def regularised(net: nn.Module, options: TwoPlayerOptions) -> nn.Module:
    """Return `net` with what `spectral_norm` and `dropout` add, after its weights have been initialised.

    Spectral normalisation replaces BatchNorm, as in Miyato et al. 2018: both bound the scale of the features. Dropout
    follows every LeakyReLU.
    """
    for parent in list(net.modules()):
        for name, module in list(parent.named_children()):
            if options.spectral_norm and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
            if options.spectral_norm and isinstance(module, nn.Conv2d | nn.Linear):
                spectral_norm(module)
            if options.dropout and isinstance(module, nn.LeakyReLU):
                setattr(parent, name, nn.Sequential(module, nn.Dropout(options.dropout)))
    return net
