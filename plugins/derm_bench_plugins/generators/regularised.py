"""Spectral normalisation and dropout of a discriminator, for any network of convolutions and linear layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from derm_bench.training.spectral_norm import spectrally_normalised

if TYPE_CHECKING:
    from derm_bench_plugins.generators.specs.common import TwoPlayerOptions


def regularised(net: nn.Module, options: TwoPlayerOptions) -> None:
    """Add to a network, whose weights have been initialised, what the options `spectral_norm` and `dropout` say.

    Spectral normalisation replaces BatchNorm, as in Miyato et al. 2018: both bound the scale of the features. Dropout
    follows every LeakyReLU.
    """
    for parent in list(net.modules()):
        for name, module in list(parent.named_children()):
            if options.spectral_norm and isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(parent, name, nn.Identity())
            if options.dropout and isinstance(module, nn.LeakyReLU):
                setattr(parent, name, nn.Sequential(module, nn.Dropout(options.dropout)))
    if options.spectral_norm:
        spectrally_normalised(net)
