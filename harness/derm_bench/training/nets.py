"""Network blocks that several papers use."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """SAGAN's attention block (Zhang et al. 2019, section 3): features [N,C,H,W] -> [N,C,H,W], H and W even.

    f and g (theta and phi in the authors' code) have C/8 channels, h has C/2; keys and values are pooled 2x2 first, and
    the output is added with a weight gamma that starts at 0. `conv` creates the 1x1 convolutions, with the arguments of
    nn.Conv2d.
    """

    def __init__(self, channels: int, conv: Callable[..., nn.Module] = nn.Conv2d) -> None:
        super().__init__()
        inner, value = max(1, channels // 8), max(1, channels // 2)
        self.query = conv(channels, inner, 1, bias=False)
        self.key = conv(channels, inner, 1, bias=False)
        self.value = conv(channels, value, 1, bias=False)
        self.out = conv(value, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query = self.query(x).flatten(2).transpose(1, 2)  # [N,HW,C/8]
        key = F.max_pool2d(self.key(x), 2).flatten(2)  # [N,C/8,HW/4]
        value = F.max_pool2d(self.value(x), 2).flatten(2).transpose(1, 2)  # [N,HW/4,C/2]
        attention = torch.softmax(torch.bmm(query, key).float(), dim=2).to(value.dtype)
        mixed = torch.bmm(attention, value).transpose(1, 2)
        return x + self.gamma * self.out(mixed.unflatten(2, x.shape[2:]))


class MinibatchStd(nn.Module):
    """The minibatch standard deviation of Karras et al. 2018, section 3: appends the standard deviation over the
    minibatch, averaged over features and pixels, as a channel: [N,C,H,W] -> [N,C+1,H,W], in float32 at least.
    `group` images share a value; if `group` does not divide N, the whole batch does. In eval mode each image is a group
    of its own, without deviation, so that the score of an image does not depend on others."""

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, _, height, width = x.shape
        group = 1 if not self.training else self.group if n % self.group == 0 else n
        wide = x if x.dtype == torch.float64 else x.float()
        y = wide.reshape(group, n // group, *x.shape[1:])
        deviation = (y.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))  # [N/group]
        plane = deviation.repeat(group)[:, None, None, None].expand(n, 1, height, width)
        return torch.cat([x, plane.to(x.dtype)], dim=1)


class PixelNorm(nn.Module):
    """The pixel norm of Karras et al. 2018, section 4.2: scales the features [N,C,...] of each pixel to a mean square
    of 1 over C, in float32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(dim=1, keepdim=True) + 1e-8)).to(x.dtype)


class EqualConv2d(nn.Conv2d):
    """A convolution with equalised learning rate (Karras et al. 2018, section 4.1): the weights start at N(0,1) and are
    multiplied by gain / sqrt(fan in) at each use, so that Adam updates all layers at the same speed. Bias starts at
    0."""

    def __init__(self, *args: Any, gain: float = math.sqrt(2), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scale = _equalised(self, gain)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(input, self.weight * self.scale, self.bias)


class EqualLinear(nn.Linear):
    """A linear layer with equalised learning rate, like EqualConv2d."""

    def __init__(self, *args: Any, gain: float = math.sqrt(2), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scale = _equalised(self, gain)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return F.linear(input, self.weight * self.scale, self.bias)


def _equalised(layer: nn.Conv2d | nn.Linear, gain: float) -> float:
    """Set the initial values of a layer and return the factor for its weights."""
    nn.init.normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return gain / math.sqrt(layer.weight[0].numel())
