"""The denoiser: a UNet with residual blocks and, at 16 pixels and less, self-attention (Ho et al. 2020, Dhariwal and
Nichol 2021).

    level     side    channels    at size 64, patch 1, base 64
    1         64      base
    2         32      2 base
    3         16      2 base      attention
    4         8       2 base      attention, and once more in the middle

The output of every block on the way down is concatenated to the input of the block at the same level on the way up.
Step and class are a scale and a shift in every block.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.api import UserError

GROUPS = 8
HEADS = 4
SMALLEST = 8  # pixels, the side of the last level
ATTENDED = 16  # pixels, from this side down


class UNet(nn.Module):
    """(x_t [N,3,size,size], t int64 [N], targets [N,classes]) -> v [N,3,size,size].

    targets: the class as a distribution; a row of zeros stands for no class.
    """

    def __init__(self, base: int, blocks: int, patch: int, size: int, classes: int) -> None:
        super().__init__()
        sides = _sides(size, patch)
        widths = [base * min(2, level + 1) for level in range(len(sides))]
        inner = 4 * base
        self.time = nn.Sequential(Sinusoid(base), nn.Linear(base, inner), nn.SiLU(), nn.Linear(inner, inner))
        self.of_class = nn.Linear(classes, inner, bias=False)
        self.enter = nn.Sequential(nn.PixelUnshuffle(patch), nn.Conv2d(3 * patch**2, base, 3, padding=1))
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        kept, width = [], base
        for level, (side, out) in enumerate(zip(sides, widths, strict=True)):
            if level:
                self.down.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
            for _ in range(blocks):
                self.down.append(Block(width, out, inner, side <= ATTENDED))
                kept.append(out)
                width = out
        self.middle = nn.ModuleList([Block(width, width, inner, True), Block(width, width, inner, False)])
        for level, (side, out) in reversed(list(enumerate(zip(sides, widths, strict=True)))):
            for _ in range(blocks):
                self.up.append(Block(width + kept.pop(), out, inner, side <= ATTENDED))
                width = out
            if level:
                self.up.append(
                    nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, padding=1))
                )
        last = _zero(nn.Conv2d(width, 3 * patch**2, 3, padding=1))
        self.leave = nn.Sequential(nn.GroupNorm(GROUPS, width), nn.SiLU(), last, nn.PixelShuffle(patch))

    def forward(self, x: torch.Tensor, t: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        about = F.silu(self.time(t) + self.of_class(targets))
        h, kept = self.enter(x), []
        for layer in self.down:
            if isinstance(layer, Block):
                h = layer(h, about)
                kept.append(h)
            else:
                h = layer(h)
        for layer in self.middle:
            h = layer(h, about)
        for layer in self.up:
            h = layer(torch.cat([h, kept.pop()], 1), about) if isinstance(layer, Block) else layer(h)
        return self.leave(h)


class Block(nn.Module):
    """A residual block [N,width,H,W] -> [N,out,H,W] with the embedding `about` [N,inner], optionally with attention."""

    def __init__(self, width: int, out: int, inner: int, attends: bool) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Conv2d(width, out, 3, padding=1)
        )
        self.norm = nn.GroupNorm(GROUPS, out)
        self.scale_and_shift = nn.Linear(inner, 2 * out)
        self.second = nn.Sequential(nn.SiLU(), _zero(nn.Conv2d(out, out, 3, padding=1)))
        self.skip = nn.Conv2d(width, out, 1) if width != out else nn.Identity()
        self.attention = Attention(out) if attends else nn.Identity()

    def forward(self, x: torch.Tensor, about: torch.Tensor) -> torch.Tensor:
        scale, shift = self.scale_and_shift(about)[:, :, None, None].chunk(2, 1)
        h = self.norm(self.first(x)) * (1 + scale) + shift
        return self.attention(self.skip(x) + self.second(h))


class Attention(nn.Module):
    """Self-attention over the pixels of [N,C,H,W], with a residual connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = _zero(nn.Conv2d(width, width, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, 3, HEADS, c // HEADS, h * w).transpose(-1, -2).unbind(1)
        seen = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(seen.transpose(-1, -2).reshape(n, c, h, w))


class Sinusoid(nn.Module):
    """t int64 [N] -> float32 [N,width]: sines and cosines of wavelengths up to 10,000 steps (Vaswani et al. 2017)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        rates = torch.exp(-math.log(10_000) * torch.arange(width // 2) / (width // 2))
        self.register_buffer("rates", rates, persistent=False)

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        angles = t[:, None].float() * self.rates
        return torch.cat([angles.sin(), angles.cos()], 1)


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Sets the weights of a layer to zero, so that every residual branch and v start at 0."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _sides(size: int, patch: int) -> list[int]:
    """The side of each level, halved down to 8 pixels."""
    side, rest = divmod(size, patch)
    levels = max(1, side.bit_length() - SMALLEST.bit_length() + 1)
    if rest or side < 1 or side % 2 ** (levels - 1):
        raise UserError(
            f"ddpm cannot halve images of side {size} down to {SMALLEST} pixels, in patches of {patch}",
            hint="set the generator's size to a power of two, 32, 64 or 128, and `patch` to 1, 2 or 4; samples are "
            "resized to the stored size",
        )
    return [side >> level for level in range(levels)]
