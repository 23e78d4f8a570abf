"""The networks of StyleGAN2 (Karras et al. 2020, CVPR), in plain convolutions.

    mapping    z 512 -> normalised -> 2 or 8 layers of 512, LeakyReLU .2, learning rate x .01 -> w 512
    synthesis  learned 4x4 -> 3x3 -> RGB;  each doubling: 3x3 up -> 3x3 -> RGB, and the sum of all RGB, enlarged by FIR
    D          1x1 from RGB -> residual blocks (3x3, 3x3 down; 1x1 down beside) to 4x4 -> deviation over the minibatch
               -> 3x3 -> 512 -> 1
    channels   min(base / side, widest) at each side; base 16384 (`auto` below 512 px) or 32768 (config-f)

Every 3x3 of the synthesis network is modulated: its input channels are scaled by an affine function of w, its output is
divided by the norm of the scaled weights (demodulation), and noise is added. Modulation and demodulation scale the
activations, which equals scaling the weights of each image (their section 2.2) and needs no grouped convolution. All
weights have an equalised learning rate. All activations are LeakyReLU .2 times sqrt 2.

Names, shapes and conventions of the parameters are those of the authors' PyTorch code, but for the dots in names.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.training.fir import conv_down, conv_up, downsample, upsample
from derm_bench.training.nets import MinibatchStd

START = 4
CLAMP = 256.0
"""The largest activation under reduced precision, as in the authors' code."""


def widths(side: int, base: int, widest: int) -> list[int]:
    """Return the channels at 4, 8, ..., `side` pixels."""
    return [min(base // 2**k, widest) for k in range(2, side.bit_length())]


def wide(x: torch.Tensor) -> torch.Tensor:
    """Return x in float32, or in float64 if it has that."""
    return x if x.dtype == torch.float64 else x.float()


def activated(x: torch.Tensor, gain: float = 1.0) -> torch.Tensor:
    """LeakyReLU .2 times sqrt 2 and `gain`; clamped in reduced precision."""
    x = F.leaky_relu(x, 0.2) * (math.sqrt(2) * gain)
    return x.clamp(-CLAMP * gain, CLAMP * gain) if x.dtype.itemsize < 4 else x


def normalised(x: torch.Tensor) -> torch.Tensor:
    """Scale rows [N,D] to a mean square of 1."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class Dense(nn.Module):
    """A linear layer with equalised learning rate; `rate` multiplies the learning rate."""

    def __init__(self, fan_in: int, fan_out: int, *, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in) / rate)
        self.bias = nn.Parameter(torch.full((fan_out,), bias))
        self.scale, self.rate = rate / math.sqrt(fan_in), rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class Conv(nn.Module):
    """A convolution with equalised learning rate; `down` halves the side with a filter."""

    def __init__(
        self, fan_in: int, fan_out: int, kernel: int, *, down: bool = False, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(fan_out)) if bias else None
        self.scale, self.down, self.padding = 1 / math.sqrt(fan_in * kernel**2), down, kernel // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = (self.weight * self.scale).to(x.dtype)
        if not self.down:
            out = F.conv2d(x, weight, padding=self.padding)
        elif self.padding:
            out = conv_down(x, weight)
        else:
            out = F.conv2d(downsample(x), weight)
        return out if self.bias is None else out + self.bias.to(out.dtype).view(1, -1, 1, 1)


class Mapping(nn.Module):
    """z float32 [N,z_dim] and, if there are classes, targets [N,K] -> w float32 [N,w_dim].

    `average` is the moving average of w, to which truncation draws. With `z_dim` 0 only the class is mapped, as in D.
    """

    average: torch.Tensor

    def __init__(self, z_dim: int, classes: int, w_dim: int, layers: int, rate: float = 0.01) -> None:
        super().__init__()
        self.embed = Dense(classes, w_dim) if classes else None
        sides = [z_dim + (w_dim if classes else 0), *[w_dim] * layers]
        self.layers = nn.ModuleList(Dense(a, b, rate=rate) for a, b in pairwise(sides))
        self.register_buffer("average", torch.zeros(w_dim))

    def forward(self, z: torch.Tensor | None, targets: torch.Tensor | None) -> torch.Tensor:
        parts = [] if z is None else [normalised(wide(z))]
        if self.embed is not None:
            if targets is None:
                raise ValueError("a conditional StyleGAN2 needs the classes of its images")
            parts.append(normalised(self.embed(targets.to(self.embed.weight.dtype))))
        x = torch.cat(parts, 1)
        for layer in self.layers:
            x = activated(layer(x))
        return x

    def track(self, w: torch.Tensor) -> None:
        """Add a batch of w to their moving average (weight .005)."""
        self.average.lerp_(w.detach().float().mean(0), 0.005)


class Modulated(nn.Module):
    """A modulated convolution: features [N,C,H,W] and w [N,w_dim] -> [N,D,H,W], or twice the side with `up`."""

    def __init__(
        self, fan_in: int, fan_out: int, kernel: int, w_dim: int, *, up: bool = False, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.affine = Dense(w_dim, fan_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in, kernel, kernel))
        self.up, self.demodulate = up, demodulate
        self.scale = 1 / math.sqrt(fan_in * kernel**2)

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        styles = wide(self.affine(w)) * (1.0 if self.demodulate else self.scale)
        if self.demodulate:
            # Neither the scale of the weights nor that of the styles matters, and large ones overflow in bfloat16.
            weight = self.weight * self.weight.square().mean((1, 2, 3), keepdim=True).rsqrt() * self.scale
            styles = styles * styles.square().mean(1, keepdim=True).add(1e-8).rsqrt()
        else:
            weight = self.weight
        x = x * styles.to(x.dtype)[:, :, None, None]
        kernel = weight.to(x.dtype)
        out = conv_up(x, kernel) if self.up else F.conv2d(x, kernel, padding=self.weight.shape[-1] // 2)
        if not self.demodulate:
            return out
        energy = styles.square() @ weight.square().sum((2, 3)).T  # [N,D]
        return out.mul((energy + 1e-8).rsqrt().to(out.dtype)[:, :, None, None])


class StyledConv(nn.Module):
    """A modulated 3x3, noise, bias and activation. `noise` float32 [side,side] is the constant noise of samples."""

    noise: torch.Tensor

    def __init__(self, fan_in: int, fan_out: int, side: int, w_dim: int, *, up: bool, noisy: bool) -> None:
        super().__init__()
        self.conv = Modulated(fan_in, fan_out, 3, w_dim, up=up)
        self.bias = nn.Parameter(torch.zeros(fan_out))
        self.strength = nn.Parameter(torch.zeros(())) if noisy else None
        if noisy:
            self.register_buffer("noise", torch.randn(side, side))

    def forward(self, x: torch.Tensor, w: torch.Tensor, draws: torch.Generator | None) -> torch.Tensor:
        x = self.conv(x, w)
        if self.strength is not None:
            side = x.shape[-1]
            noise = (
                self.noise
                if draws is None
                else torch.randn(len(x), 1, side, side, generator=draws, device=draws.device)
            )
            x = x + (noise * self.strength).to(x.dtype)
        return activated(x + self.bias.to(x.dtype).view(1, -1, 1, 1))


class ToRgb(nn.Module):
    def __init__(self, fan_in: int, w_dim: int) -> None:
        super().__init__()
        self.conv = Modulated(fan_in, 3, 1, w_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        rgb: torch.Tensor = self.conv(x, w) + self.bias.to(x.dtype).view(1, 3, 1, 1)
        return wide(rgb)


class Synthesis(nn.Module):
    """w [N,count,w_dim], one per layer -> images float32 [N,3,side,side], about in [-1,1] but unbounded.

    Layer k of `count` = 2 log2(side) - 2 is the k-th convolution; the RGB layer of a side shares the w of the next
    convolution. `noisy` states whether the first and the second convolution of a side add noise.
    """

    def __init__(self, channels: list[int], w_dim: int, noisy: tuple[bool, bool]) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(channels[0], START, START))
        second = noisy[1]
        self.first = StyledConv(channels[0], channels[0], START, w_dim, up=False, noisy=second)
        self.ups, self.convs = nn.ModuleList(), nn.ModuleList()
        self.to_rgb = nn.ModuleList(ToRgb(width, w_dim) for width in channels)
        for k, (below, width) in enumerate(pairwise(channels)):
            side = START * 2 ** (k + 1)
            self.ups.append(StyledConv(below, width, side, w_dim, up=True, noisy=noisy[0]))
            self.convs.append(StyledConv(width, width, side, w_dim, up=False, noisy=second))
        self.count = 2 * len(channels)

    def forward(self, ws: torch.Tensor, draws: torch.Generator | None = None) -> torch.Tensor:
        start = self.start.to(torch.get_autocast_dtype(ws.device.type)) if _autocast(ws) else self.start
        x = self.first(start.expand(len(ws), -1, -1, -1), ws[:, 0], draws)
        rgb: torch.Tensor = self.to_rgb[0](x, ws[:, 1])
        for k, (up, conv) in enumerate(zip(self.ups, self.convs, strict=True)):
            x = conv(up(x, ws[:, 2 * k + 1], draws), ws[:, 2 * k + 2], draws)
            rgb = upsample(rgb) + self.to_rgb[k + 1](x, ws[:, 2 * k + 3])
        return rgb


def _autocast(x: torch.Tensor) -> bool:
    return torch.is_autocast_enabled(x.device.type)


class Generator(nn.Module):
    """Mapping and synthesis: z [N,z_dim] (and targets [N,K]) -> images [N,3,side,side]."""

    def __init__(
        self,
        channels: list[int],
        *,
        z_dim: int,
        w_dim: int,
        layers: int,
        classes: int = 0,
        noisy: tuple[bool, bool] = (True, True),
    ) -> None:
        super().__init__()
        self.mapping = Mapping(z_dim, classes, w_dim, layers)
        self.synthesis = Synthesis(channels, w_dim, noisy)

    def styles(self, z: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
        """Return the same w for all layers, float32 [N,count,w_dim]."""
        w: torch.Tensor = self.mapping(z, targets)
        return w[:, None].expand(-1, self.synthesis.count, -1)

    def forward(
        self, z: torch.Tensor, targets: torch.Tensor | None = None, truncation: float = 1.0
    ) -> torch.Tensor:
        """Return images with constant noise. `truncation` psi draws w to its average: mean + psi (w - mean)."""
        ws = self.styles(z, targets)
        if truncation != 1:
            ws = torch.lerp(self.mapping.average.expand_as(ws), ws, truncation)
        images: torch.Tensor = self.synthesis(ws)
        return images


class ResidualBlock(nn.Module):
    """Features [N,C,2H,2W] -> [N,D,H,W]: (3x3, 3x3 down) + (1x1 down), over sqrt 2; with `plain`, without the second
    term and without the factor."""

    def __init__(self, fan_in: int, fan_out: int, plain: bool) -> None:
        super().__init__()
        self.conv0 = Conv(fan_in, fan_in, 3)
        self.conv1 = Conv(fan_in, fan_out, 3, down=True)
        self.skip = None if plain else Conv(fan_in, fan_out, 1, down=True, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = activated(self.conv0(x))
        if self.skip is None:
            return activated(self.conv1(y))
        beside: torch.Tensor = self.skip(x) * math.sqrt(0.5)
        return beside + activated(self.conv1(y), math.sqrt(0.5))


class Discriminator(nn.Module):
    """Images [N,3,side,side] (and targets [N,K]) -> logits float32 [N]. `channels` are those at 4, 8, ..., side. With
    classes, the last features are projected on the mapped class (Miyato and Koyama 2018), over the root of their
    number."""

    def __init__(
        self, channels: list[int], *, classes: int = 0, layers: int = 8, group: int = 4, plain: bool = False
    ) -> None:
        super().__init__()
        first = channels[0]
        self.from_rgb = Conv(3, channels[-1], 1)
        pairs = [(b, a) for a, b in pairwise(channels)]
        self.blocks = nn.ModuleList(ResidualBlock(a, b, plain) for a, b in reversed(pairs))
        self.deviation = MinibatchStd(group)
        self.conv = Conv(first + 1, first, 3)
        self.dense = Dense(first * START**2, first)
        self.out = Dense(first, first if classes else 1)
        self.mapping = Mapping(0, classes, first, layers) if classes else None

    def forward(self, images: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
        x = activated(self.from_rgb(images))
        for block in self.blocks:
            x = block(x)
        x = activated(self.conv(self.deviation(x)))
        out: torch.Tensor = wide(self.out(activated(self.dense(x.flatten(1)))))
        if self.mapping is None:
            return out.squeeze(1)
        mapped: torch.Tensor = self.mapping(None, targets)
        return (out * mapped).sum(1).div(math.sqrt(mapped.shape[1]))
