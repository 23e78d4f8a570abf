"""The networks of AA-GAN (paper 000, table I), which are those of Hair-GAN (Zhang and Zheng 2019): from four maps of a
photograph of hair to a volume of directions.

    C2 5x5, C3 3x3x3, stride in brackets; I the input of a block; = a new axis

    G  initial   SxSx4 -> C2(4,16)[2]   + C2(4,8)[2],    C2(8,16)[1]        S/2 x S/2 x 16
                       -> C2(16,64)[2]  + C2(16,32)[2],  C2(32,64)[1]       S/4 x S/4 x 64
                       -> C2(64,256)[2] + C2(64,128)[2], C2(128,256)[1]     S/8 x S/8 x 256
                       -> I + C2(256,256), C2(256,256)                      the latent
       X, Y, Z   each 2 x [I + C2(256,256), C2(256,256)] -> C2(256,128) -> C2(128,D) -> =     S/8 x S/8 x D, 1
       fusion    X, Y, Z together -> 2 x [I + C3(3,3), C3(3,3)]             S/8 x S/8 x D, 3
    D  P         SxSx4 -> C2(4,32)[2] -> C2(32,64)[2] -> C2(64,128)[2] -> C2(128,D) -> =      S/8 x S/8 x D, 1
       critic    volume and P -> C3(4,32)[2] -> C3(32,64)[2] -> C3(64,128)[2] -> C3(128,256)[2] -> C3(256,512)[2] -> 1

The paper has S = 1024 and D = 96; here S is 128, 256, 512 or 1024, and D = 3S/32. `=` makes the feature maps of the
last 2D convolution the depth axis of the volume, a single channel. In G every convolution and every sum is followed by
ReLU, also the last, so that the volume is at least 0; in D every convolution is followed by LeakyReLU .2, and the score
is linear. There is no normalisation. Weights start from a normal distribution of deviation 0.02, cut off at two
deviations, and biases from 0.

The table as printed has three errors, which do not give the shapes that it states and are corrected above: the shortcut
of the third row of G has stride 1, P lacks the row C2(64,128)[2], and the fourth 3D convolution of D has 126 inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

MAPS = 4  # direction (two channels), confidence, depth of the bust
LAYERS = 7  # of D, for the losses: the volume (0), the five 3D convolutions (1 to 5), the score (6)


def depth_of(side: int) -> int:
    """Return the depth D in voxels of a volume for maps of this side."""
    return 3 * side // 32


class VolumeGenerator(nn.Module):
    """Maps [N,4,S,S] in [0,1] -> volumes [N,3,3S/32,S/8,S/8], at least 0.

    `width` multiplies the channels of the hidden 2D convolutions. `init` is as for `hair_init`. If `centred`, the first
    convolutions get directions from -1 to 1, and 0 without hair. As they are encoded, every direction is 0.5 and a
    little more or less, and the outline of the hair outweighs what they state.
    """

    def __init__(self, side: int, width: float = 1.0, init: str = "normal", centred: bool = False) -> None:
        super().__init__()
        self.centred = centred
        c = widths(width)
        self.initial = nn.Sequential(
            Halving(MAPS, c(8), c(16)),
            Halving(c(16), c(32), c(64)),
            Halving(c(64), c(128), c(256)),
            Residual(c(256), conv2),
        )
        self.x, self.y, self.z = (Axis(c(256), c(128), depth_of(side)) for _ in range(3))
        self.fusion = nn.Sequential(Residual(3, conv3), Residual(3, conv3))
        hair_init(self, init)

    def latent(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the output of the initial block, float32 [N,256 width,S/8,S/8]."""
        latent: torch.Tensor = self.initial(signed(maps) if self.centred else maps)
        return latent

    @torch.no_grad()
    def start_at(self, mean: torch.Tensor) -> None:
        """Set the last biases of the axes to `mean` [3,D], the mean of volumes in each plane of depth. Above 0, the
        last ReLU of an axis passes a gradient at every voxel from the first update on; around 0, at a half of them."""
        for axis, plane in zip((self.x, self.y, self.z), mean, strict=True):
            axis.layers.get_parameter("4.bias").copy_(plane)

    def volume(self, latent: torch.Tensor) -> torch.Tensor:
        """Return the volumes [N,3,D,S/8,S/8] of latents, for example of mixed ones."""
        axes = [block(latent) for block in (self.x, self.y, self.z)]
        volume: torch.Tensor = self.fusion(torch.stack(axes, dim=1))
        return volume

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.volume(self.latent(maps))


class VolumeDiscriminator(nn.Module):
    """Volumes [N,3,D,S/8,S/8] and conditions P(X) [N,1,D,S/8,S/8] of maps X -> scores [N].

    P(X) is computed once (`condition`) and shared by all volumes that belong to the same maps.
    """

    def __init__(self, side: int, width: float = 1.0) -> None:
        super().__init__()
        c = widths(width)
        channels = [MAPS, c(32), c(64), c(128)]
        self.project = nn.Sequential()
        for a, b in pairwise(channels):
            self.project += nn.Sequential(conv2(a, b, stride=2), nn.LeakyReLU(0.2))
        self.project += nn.Sequential(conv2(c(128), depth_of(side)), nn.LeakyReLU(0.2))
        channels = [4, *(c(k) for k in (32, 64, 128, 256, 512))]
        self.critic = nn.ModuleList(
            nn.Sequential(conv3(a, b, stride=2), nn.LeakyReLU(0.2)) for a, b in pairwise(channels)
        )
        voxels = 1
        for length in (depth_of(side), side // 8, side // 8):
            voxels *= -(-length // 32)
        self.score = nn.Linear(c(512) * voxels, 1)
        hair_init(self)

    def condition(self, maps: torch.Tensor) -> torch.Tensor:
        """Return P(X) [N,1,D,S/8,S/8] of maps X [N,4,S,S]."""
        return torch.unsqueeze(self.project(maps), 1)

    def features(self, pairs: torch.Tensor) -> list[torch.Tensor]:
        """Return the outputs of the layers 1 to 6 for pairs [N,4,D,S/8,S/8], which are volumes with P(X) as the fourth
        channel. That of layer 6 is the score, [N,1]."""
        found = [pairs]
        for layer in self.critic:
            found.append(layer(found[-1]))
        return [*found[1:], self.score(found[-1].flatten(1))]

    def forward(self, volume: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        return self.features(paired(volume, condition))[-1].squeeze(1)


def paired(volume: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    """Return volumes [N,3,...] and conditions [N,1,...] as the four channels that D gets."""
    return torch.cat([volume, condition.to(volume.dtype)], dim=1)


def signed(maps: torch.Tensor) -> torch.Tensor:
    """Return maps [N,4,S,S] with the directions from -1 to 1, and 0 without hair."""
    encoded, rest = maps.split([2, MAPS - 2], dim=1)
    hair = encoded.sum(dim=1, keepdim=True) > 0
    return torch.cat([(2 * encoded - 1) * hair, rest], dim=1)


class Halving(nn.Module):
    """[N,channels,H,W] -> [N,out,H/2,W/2]: C2(channels,out)[2] + C2(channels,inner)[2], C2(inner,out)[1]."""

    def __init__(self, channels: int, inner: int, out: int) -> None:
        super().__init__()
        self.shortcut = nn.Sequential(conv2(channels, out, stride=2), nn.ReLU())
        self.path = nn.Sequential(conv2(channels, inner, stride=2), nn.ReLU(), conv2(inner, out), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.shortcut(x) + self.path(x))


class Residual(nn.Module):
    """I + two convolutions of the same channels."""

    def __init__(self, channels: int, conv: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.path = nn.Sequential(conv(channels, channels), nn.ReLU(), conv(channels, channels), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.path(x))


class Axis(nn.Module):
    """The X-, Y- or Z-block: latent [N,channels,H,W] -> one component of the directions, [N,depth,H,W]."""

    def __init__(self, channels: int, inner: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Residual(channels, conv2),
            Residual(channels, conv2),
            *(conv2(channels, inner), nn.ReLU()),
            *(conv2(inner, depth), nn.ReLU()),
        )

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        component: torch.Tensor = self.layers(latent)
        return component


def conv2(channels: int, out: int, stride: int = 1) -> nn.Module:
    return nn.Conv2d(channels, out, 5, stride=stride, padding=2)


def conv3(channels: int, out: int, stride: int = 1) -> nn.Module:
    return nn.Conv3d(channels, out, 3, stride=stride, padding=1)


def widths(width: float) -> Callable[[int], int]:
    """Return a function from the channels of the paper to those of a network of relative width `width`."""
    return lambda channels: max(1, round(channels * width))


@torch.no_grad()
def hair_init(net: nn.Module, init: str = "normal") -> None:
    """Initialise as in Hair-GAN (`normal`): convolutions from a truncated normal distribution of deviation 0.02, the
    linear layer from a normal one, biases 0.

    With few channels the signal then fades from layer to layer. `he` starts convolutions from a normal distribution of
    variance 2 / fan in instead (He et al. 2015), the second one of a residual block at a fifth of that deviation, so
    that the sums of the blocks do not grow, and the last one of an axis too, so that volumes start near 0, which most
    of a volume is.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            if init == "he":
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            else:
                nn.init.trunc_normal_(module.weight, std=0.02, a=-0.04, b=0.04)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    if init == "he":
        for module in net.modules():
            if isinstance(module, Residual):
                module.path.get_parameter("2.weight").mul_(0.2)
            elif isinstance(module, Axis):
                module.layers.get_parameter("4.weight").mul_(0.2)
