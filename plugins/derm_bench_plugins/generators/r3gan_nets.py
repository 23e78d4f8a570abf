"""The networks of R3GAN (Huang et al. 2024, section 4): residual networks without normalisation. G and D mirror each
other.

    G   z, embedded class -> linear -> scales of a learned 4x4 basis -> stages at 4, 8, ..., side -> 1x1 to RGB
    D   1x1 from RGB -> stages at side, ..., 8, 4 -> 4x4 depthwise -> linear -> logit, or product with the class
    stage    `blocks` residual blocks; between stages bilinear resampling, and a 1x1 where the channels change
    block    x + (1x1 to `expansion` times the channels -> grouped 3x3 -> 1x1 back), LeakyReLU .2 between

Fix-up initialisation: the last convolution of a block is zero, and the two before it are scaled by L^-1/4 for L blocks
in the network (Zhang et al. 2019), so that the network starts as a linear map, and updates do not grow with depth.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.training.fir import downsample, upsample

START = 4
SLOPE = 0.2
GAIN = math.sqrt(2 / (1 + SLOPE**2))


def convolution(fan_in: int, fan_out: int, kernel: int = 1, groups: int = 1, gain: float = 1.0) -> nn.Conv2d:
    """Return a convolution without bias, with weights N(0, gain^2 / fan in)."""
    conv = nn.Conv2d(fan_in, fan_out, kernel, padding=kernel // 2, groups=groups, bias=False)
    nn.init.normal_(conv.weight, std=gain / math.sqrt(fan_in // groups * kernel**2))
    return conv


class Activation(nn.Module):
    """A bias per channel, and LeakyReLU .2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(x + self.bias.to(x.dtype).view(1, -1, 1, 1), SLOPE)


class ResidualBlock(nn.Module):
    """Features [N,C,H,W] -> the same shape; `depth` is the number of blocks in the network."""

    def __init__(self, channels: int, *, expansion: int, group_width: int, depth: int) -> None:
        super().__init__()
        inner = channels * expansion
        groups = inner // math.gcd(inner, group_width)
        gain = GAIN * depth**-0.25
        self.widen = convolution(channels, inner, gain=gain)
        self.first = Activation(inner)
        self.grouped = convolution(inner, inner, 3, groups, gain=gain)
        self.second = Activation(inner)
        self.narrow = convolution(inner, channels, gain=0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.second(self.grouped(self.first(self.widen(x))))
        out: torch.Tensor = x + self.narrow(y)
        return out


class Resampled(nn.Module):
    """Twice or half the side, and a 1x1 if the channels change. The 1x1 works on the smaller picture."""

    def __init__(self, fan_in: int, fan_out: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        self.conv = convolution(fan_in, fan_out) if fan_in != fan_out else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.up:
            x = downsample(x)
        if self.conv is not None:
            x = self.conv(x)
        return upsample(x) if self.up else x


def stages(channels: list[int], *, up: bool, blocks: int, expansion: int, group_width: int) -> nn.Sequential:
    """Return the stages of these channels, in their order, with a change of the side between two of them."""
    depth = blocks * len(channels)
    layers: list[nn.Module] = []
    for k, width in enumerate(channels):
        if k:
            layers.append(Resampled(channels[k - 1], width, up=up))
        layers += [
            ResidualBlock(width, expansion=expansion, group_width=group_width, depth=depth)
            for _ in range(blocks)
        ]
    return nn.Sequential(*layers)


class Embedding(nn.Module):
    """Targets [N,K], which may be mixtures of classes -> [N,length], elements about 1."""

    def __init__(self, classes: int, length: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(length, classes))

    def forward(self, targets: torch.Tensor) -> torch.Tensor:
        return F.linear(targets, self.weight)


class Generator(nn.Module):
    """z [N,z_dim] (and targets [N,K]) -> images float32 [N,3,side,side], about in [-1,1] but unbounded. `channels` are
    those at 4, 8, ..., side."""

    def __init__(
        self,
        channels: list[int],
        *,
        z_dim: int,
        embedding: int,
        classes: int,
        blocks: int,
        expansion: int,
        group_width: int,
    ) -> None:
        super().__init__()
        first = channels[0]
        self.embedding = Embedding(classes, embedding) if classes else None
        length = z_dim + (embedding if classes else 0)
        self.linear = nn.Linear(length, first, bias=False)
        nn.init.normal_(self.linear.weight, std=1 / math.sqrt(length))
        self.basis = nn.Parameter(torch.randn(first, START, START))
        self.stages = stages(channels, up=True, blocks=blocks, expansion=expansion, group_width=group_width)
        self.to_rgb = convolution(channels[-1], 3)

    def forward(self, z: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
        if self.embedding is not None:
            z = torch.cat([z, self.embedding(targets)], 1)
        scales = self.linear(z)
        x = scales[:, :, None, None] * self.basis.to(scales.dtype)
        rgb: torch.Tensor = self.to_rgb(self.stages(x))
        return rgb if rgb.dtype == torch.float64 else rgb.float()


class Discriminator(nn.Module):
    """Images [N,3,side,side] (and targets [N,K]) -> logits [N], float32 or float64."""

    def __init__(
        self,
        channels: list[int],
        *,
        embedding: int,
        classes: int,
        blocks: int,
        expansion: int,
        group_width: int,
    ) -> None:
        super().__init__()
        widths = channels[::-1]
        self.from_rgb = convolution(3, widths[0])
        self.stages = stages(widths, up=False, blocks=blocks, expansion=expansion, group_width=group_width)
        last = widths[-1]
        self.pool = nn.Conv2d(last, last, START, groups=last, bias=False)
        nn.init.normal_(self.pool.weight, std=1 / START)
        self.linear = nn.Linear(last, embedding if classes else 1, bias=False)
        nn.init.normal_(self.linear.weight, std=1 / math.sqrt(last))
        self.embedding = Embedding(classes, embedding) if classes else None

    def forward(self, images: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
        x = self.pool(self.stages(self.from_rgb(images))).flatten(1)
        out: torch.Tensor = self.linear(x)
        out = out if out.dtype == torch.float64 else out.float()
        if self.embedding is None:
            return out.squeeze(1)
        embedded: torch.Tensor = self.embedding(targets)
        return (out * embedded).sum(1) / math.sqrt(out.shape[1])
