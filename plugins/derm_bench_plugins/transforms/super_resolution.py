"""Two small published super-resolution networks, for weights trained or converted by the user.

`espcn`: Shi et al., CVPR 2016, section 3.2. Luma in [0,1]; chroma by Lanczos. Keys: `conv1` 5x5 1-64, tanh; `conv2` 3x3
64-32, tanh; `conv3` 3x3 32-r^2; sub-pixel shuffle.

`srresnet`: Ledig et al., CVPR 2017, figure 4 (SRGAN's generator). RGB in [0,1], result in [-1,1]. Keys: `head.0` 9x9
3-64, `head.1` PReLU; `blocks.0` to `blocks.15`, each `conv1` 3x3, `norm1`, `act` PReLU, `conv2`, `norm2`, plus its
input; `body.0` 3x3, `body.1` BatchNorm, plus what the head gave; `up.0` 3x3 64-256, sub-pixel shuffle, `up.2` PReLU,
and for r = 4 `up.3` and `up.5` likewise; `tail` 9x9 64-3.

Files are read as data (`derm_bench.training.weights`: safetensors, or what torch loads as weights only), and every key
and shape has to fit. Convolutions keep the size: SRResNet's pad with zeros, ESPCN's by repeating the edge.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from derm_bench.training.weights import load_network


class Espcn(nn.Module):
    """Luma float32 [N,1,H,W] in [0,1] -> luma [N,1,rH,rW]."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 5, padding=2, padding_mode="replicate")
        self.conv2 = nn.Conv2d(64, 32, 3, padding=1, padding_mode="replicate")
        self.conv3 = nn.Conv2d(32, factor**2, 3, padding=1, padding_mode="replicate")
        self.shuffle = nn.PixelShuffle(factor)

    def forward(self, luma: torch.Tensor) -> torch.Tensor:
        larger: torch.Tensor = self.shuffle(self.conv3(self.conv2(self.conv1(luma).tanh()).tanh()))
        return larger


class Block(nn.Module):
    """conv, BatchNorm, PReLU, conv, BatchNorm, plus the input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64)
        self.act = nn.PReLU()
        self.conv2, self.norm2 = nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        return x + change


class SrResNet(nn.Module):
    """RGB float32 [N,3,H,W] in [0,1] -> [N,3,rH,rW] in [-1,1]; r is 2 or 4."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, 64, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(*(Block() for _ in range(16)))
        self.body = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64))
        doublings = [
            layer
            for _ in range(factor // 2)
            for layer in (nn.Conv2d(64, 256, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())
        ]
        self.up = nn.Sequential(*doublings)
        self.tail = nn.Conv2d(64, 3, 9, padding=4)

    def forward(self, rgb: torch.Tensor) -> torch.Tensor:
        head = self.head(rgb)
        larger: torch.Tensor = self.tail(self.up(head + self.body(self.blocks(head))))
        return larger


class Upscaler:
    """uint8 [H,W,3] -> uint8 [rH,rW,3], by a network with weights from a file. It runs on the CPU, which also decodes
    the images.

    Raises UserError if the file cannot be read or does not fit the network.
    """

    def __init__(self, network: str, factor: int, weights: Path) -> None:
        self.factor, self.luma_alone = factor, network == "espcn"
        self.net = (Espcn if self.luma_alone else SrResNet)(factor)
        load_network(self.net, None, weights)
        self.net.eval()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return self._luma(pixels) if self.luma_alone else self._rgb(pixels)

    @torch.inference_mode()
    def _rgb(self, pixels: np.ndarray) -> np.ndarray:
        planes = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].float() / 255
        return _levels((self.net(planes)[0].permute(1, 2, 0) + 1) / 2)

    @torch.inference_mode()
    def _luma(self, pixels: np.ndarray) -> np.ndarray:
        """Enlarge Y of the YCbCr of ITU-R BT.601 by the network, and Cb and Cr by Lanczos."""
        height, width = pixels.shape[:2]
        small = Image.fromarray(pixels).convert("YCbCr")
        large = small.resize((self.factor * width, self.factor * height), Image.Resampling.LANCZOS)
        luma = torch.from_numpy(np.array(small.getchannel("Y")))[None, None].float() / 255
        sharp = Image.fromarray(_levels(self.net(luma)[0, 0]))
        merged = Image.merge("YCbCr", (sharp, large.getchannel("Cb"), large.getchannel("Cr")))
        return np.asarray(merged.convert("RGB"))


def _levels(values: torch.Tensor) -> np.ndarray:
    """Convert [0,1] to uint8, rounded to the nearest integer."""
    return (values * 255).round().clamp(0, 255).byte().numpy()
