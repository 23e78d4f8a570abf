"""The layers of DCGAN (Radford et al. 2016), shared by the GANs of papers 002 to 004 and the conditional GANs.

    G  z -> 4x4 x base*2^(s-1) -> ... -> S/2 x S/2 x base -> S x S x 3    BN + ReLU, tanh last
    D  S x S x 3 -> S/2 x S/2 x base -> ... -> 4x4 x base*2^(s-1) -> 1    LeakyReLU .2, BN in all but the first layer

G consists of transposed convolutions and D of convolutions, with stride 2 except in the first layer of G and the last
layer of D; s = log2(S / 4). For sides other than 64 px, layers are added or removed at the 4x4 end. Kernels are 4x4,
which is divisible by the stride 2, or Radford's 5x5.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from derm_bench_plugins.generators.doublings import doublings


class Generator(nn.Module):
    """z [N,z_dim] -> images [N,3,4*2^stages,4*2^stages] in [-1,1], with `base` channels before the last layer.

    With `linear`, z is projected to 4x4 by a linear layer, which has a bias per position; without it, by a transposed
    4x4 convolution of a 1x1 map, which is the same without that bias. `bias` is whether the last layer has a bias; the
    others have none, because BatchNorm follows them.
    """

    def __init__(
        self,
        z_dim: int,
        base: int,
        stages: int,
        *,
        kernel: int = 4,
        linear: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        widths = [base * 2**k for k in reversed(range(stages))]
        self.project = nn.Sequential(
            *_projection(z_dim, widths[0], linear),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.up = nn.Sequential(*[_up(a, b, kernel) for a, b in pairwise(widths)])
        self.to_rgb = _doubling(widths[-1], 3, kernel, bias)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.up(self.project(z[:, :, None, None]))
        return torch.tanh(self.to_rgb(features))


class Trunk(nn.Module):
    """Images [N,3,4*2^stages,4*2^stages] -> maps [N,channels,4,4], with `base` channels after the first layer.

    `bias` is whether the first layer has a bias. `planes` is the number of planes that are joined with the images.
    """

    def __init__(
        self, base: int, stages: int, *, kernel: int = 4, bias: bool = True, planes: int = 0
    ) -> None:
        super().__init__()
        widths = [base * 2**k for k in range(stages)]
        self.channels = widths[-1]
        first = _halving(3 + planes, base, kernel, bias)
        self.from_rgb = nn.Sequential(first, nn.LeakyReLU(0.2, inplace=True))
        self.down = nn.Sequential(*[_down(a, b, kernel) for a, b in pairwise(widths)])

    def maps(self, images: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.down(self.from_rgb(images))
        return maps


class Discriminator(Trunk):
    """Images [N,3,4*2^stages,4*2^stages] -> logits [N], or [N,outputs] for several outputs.

    `features` [N,width] are the last maps, flattened (head `flatten`) or averaged (`gap`). The linear layer `logit`
    takes them; a classifier that fine-tunes D replaces this layer. `bias` is whether the first and the last layer have
    a bias.
    """

    def __init__(
        self,
        base: int,
        stages: int,
        head: str = "flatten",
        *,
        kernel: int = 4,
        bias: bool = True,
        outputs: int = 1,
        planes: int = 0,
    ) -> None:
        super().__init__(base, stages, kernel=kernel, bias=bias, planes=planes)
        self.pool = nn.AdaptiveAvgPool2d(1) if head == "gap" else nn.Identity()
        self.width = self.channels * (1 if head == "gap" else 16)
        self.logit = nn.Linear(self.width, outputs, bias=bias)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.pool(self.maps(images))
        return pooled.flatten(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.squeeze(self.logit(self.features(images)), 1)


def stages_of(size: int, plugin: str) -> int:
    """Return the number of doublings from 4x4 to `size`.

    Raises UserError unless `size` is a power of two of at least 8.
    """
    return doublings(plugin, size, 4)


def _projection(z_dim: int, channels: int, linear: bool) -> list[nn.Module]:
    """z [N,z_dim,1,1] -> [N,channels,4,4]."""
    if not linear:
        return [nn.ConvTranspose2d(z_dim, channels, 4, bias=False)]
    return [nn.Flatten(), nn.Linear(z_dim, channels * 16), nn.Unflatten(1, (channels, 4, 4))]


def _doubling(channels: int, out: int, kernel: int, bias: bool) -> nn.ConvTranspose2d:
    # Without output_padding, an odd kernel gives one pixel less than twice the side.
    return nn.ConvTranspose2d(
        channels, out, kernel, stride=2, padding=(kernel - 1) // 2, output_padding=kernel % 2, bias=bias
    )


def _halving(channels: int, out: int, kernel: int, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(channels, out, kernel, stride=2, padding=(kernel - 1) // 2, bias=bias)


def _up(channels: int, out: int, kernel: int) -> nn.Sequential:
    conv = _doubling(channels, out, kernel, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True))


def _down(channels: int, out: int, kernel: int) -> nn.Sequential:
    conv = _halving(channels, out, kernel, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.LeakyReLU(0.2, inplace=True))
