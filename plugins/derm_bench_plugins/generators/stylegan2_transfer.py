"""Transfer to a StyleGAN2: starting from another network, and training parts of G and D alone.

As in the authors' `--resume` (Karras et al. 2020, NeurIPS, section 5), G, its average and D start from all tensors of
the other networks that have the same name and shape. Names are by resolution, so that a net of another side gives what
the two have in common. Everything else, such as the class embedding of a conditional net, keeps its initial values.

Freeze-D (Mo et al. 2020) trains all of D but the layers next to the image. `g_layers: last` trains the last layer of G
alone, which is what paper 001 says literally ("update the last layer").
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.training.weights import read_weights
from derm_bench_plugins.generators.stylegan2_names import by_part, by_resolution

if TYPE_CHECKING:
    from derm_bench_plugins.generators.stylegan2_nets import Discriminator, Generator

Networks = Mapping[str, Mapping[str, torch.Tensor]]
"""Tensors by their names by resolution, of `generator` and `discriminator`."""


def networks_in(file: Path) -> Networks:
    """Return the networks in a file of weights. Raises UserError if it cannot be read or has no generator."""
    found = by_part(read_weights(file))
    if "generator" not in found:
        raise UserError(
            "the file has no StyleGAN2 generator", file=file, hint="names begin with generator. or G_ema."
        )
    return found


def networks_of(fitted: Any, name: str) -> Networks:
    """Return the networks of a fitted generator. Raises UserError if it has none of these names."""
    parts = fitted.parts()
    if "generator" not in parts:
        raise UserError(f"{name} has no network called generator to start from")
    return {part: by_resolution(net.state_dict(), part) for part, net in parts.items() if part in _OWN}


_OWN = ("generator", "discriminator")


def take_over(net: nn.Module, part: str, networks: Networks) -> float:
    """Copy the tensors of `part` that have the name and shape of one of `net`. Returns the share of the parameters of
    `net` that were taken, in [0,1]; 0 if there is no such part."""
    own, there = by_resolution(net.state_dict(keep_vars=True), part), networks.get(part, {})
    taken = 0
    with torch.no_grad():
        for name, tensor in own.items():
            other = there.get(name)
            if other is not None and other.shape == tensor.shape:
                tensor.copy_(other)
                taken += tensor.numel() if isinstance(tensor, nn.Parameter) else 0
    return taken / sum(p.numel() for p in net.parameters())


def freeze_start(discriminator: Discriminator, layers: int) -> None:
    """Train none of the first `layers` layers of D, counted from the image: RGB, then 3x3, 3x3 and 1x1 of each block.
    Raises UserError if there are not so many."""
    blocks = [layer for block in discriminator.blocks for layer in (block.conv0, block.conv1, block.skip)]
    countable = [layer for layer in (discriminator.from_rgb, *blocks) if layer is not None]
    if layers > len(countable):
        raise UserError(f"freeze_d is {layers}, but D has {len(countable)} layers before its last block")
    for layer in countable[:layers]:
        layer.requires_grad_(False)


def train_last(generator: Generator) -> None:
    """Train nothing of G but the RGB layer at full resolution."""
    generator.requires_grad_(False)
    generator.synthesis.to_rgb[-1].requires_grad_(True)
