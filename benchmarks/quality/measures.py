"""How good samples are: sharpness, two-sample accuracy, coverage and a bounded distance, against reals that no
generator was trained on.

Sharpness needs no network. The other three use features of four small networks, which are fitted to the held-out reals
in a few seconds each: they tell apart quarter turns, classes and shuffled blocks of an image, under mild noise and blur
as augmentation. (A network that is trained to detect noise and blur would call an image with invisible noise far away.)
Their last maps are pooled to 2x2, so that place counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

NETWORKS = 4
UPDATES = 400
BATCH = 128
NEAREST = 5


def sharpness(images: torch.Tensor) -> float:
    """Return the mean energy above 3/8 cycles per pixel of uint8 images [N,3,S,S], under a Hann window."""
    side = images.shape[-1]
    window = torch.hann_window(side, periodic=False)
    pixels = images.float() / 255
    pixels = (pixels - pixels.mean((2, 3), keepdim=True)) * window[:, None] * window[None, :]
    frequency = torch.fft.fftfreq(side)
    radius = (frequency[:, None] ** 2 + frequency[None, :] ** 2).sqrt()
    energy = torch.fft.fft2(pixels).abs().square()
    return float(energy[..., radius > 3 / 8].sum(-1).mean())


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut, which halve the side."""

    def __init__(self, fan_in: int, fan_out: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(fan_in), nn.BatchNorm2d(fan_out)
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, 2, 1, bias=False)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, 1, 1, bias=False)
        self.skip = nn.Conv2d(fan_in, fan_out, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm1(x))
        return self.skip(F.avg_pool2d(x, 2)) + self.conv2(F.relu(self.norm2(self.conv1(x))))


class Network(nn.Module):
    """float32 [N,3,S,S] in [-1,1] -> features [N,256]: the last maps, pooled to 2x2."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, 2, 1, bias=False)
        self.blocks = nn.Sequential(Block(24, 32), Block(32, 64), nn.BatchNorm2d(64), nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(256, n) for n in (classes, 4, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.adaptive_avg_pool2d(self.blocks(self.stem(x)), 2).flatten(1)


def fit_networks(images: torch.Tensor, labels: torch.Tensor, device: str) -> list[Network]:
    """Fit the networks to reals uint8 [N,3,S,S] with their classes, each under a seed of its own."""
    return [_fit(images.to(device), labels.to(device), seed, device) for seed in range(NETWORKS)]


def _fit(images: torch.Tensor, labels: torch.Tensor, seed: int, device: str) -> Network:
    torch.manual_seed(1000 + seed)
    network = Network(int(labels.max()) + 1).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=UPDATES)
    for _ in range(UPDATES):
        rows = torch.randint(len(images), (BATCH,), device=device)
        x = images[rows].float() / 127.5 - 1
        turns = torch.randint(4, (BATCH,), device=device)
        shuffled = torch.rand(BATCH, device=device) < 0.5
        x = torch.stack([torch.rot90(one, int(k), (1, 2)) for one, k in zip(x, turns, strict=True)])
        x = torch.where(shuffled[:, None, None, None], _blocks_shuffled(x), x)
        x = _mildly_damaged(x)
        features = network(x)
        losses = [
            F.cross_entropy(head(features), target)
            for head, target in zip(network.heads, (labels[rows], turns, shuffled.long()), strict=True)
        ]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def _blocks_shuffled(x: torch.Tensor) -> torch.Tensor:
    """Return images whose 4x4 blocks are in another order."""
    n, c, side, _ = x.shape
    cut = x.unfold(2, side // 4, side // 4).unfold(3, side // 4, side // 4)  # [N,C,4,4,s,s]
    cut = cut.reshape(n, c, 16, side // 4, side // 4)[:, :, torch.randperm(16, device=x.device)]
    rows = cut.reshape(n, c, 4, 4, side // 4, side // 4).permute(0, 1, 2, 4, 3, 5)
    return rows.reshape(n, c, side, side)


def _mildly_damaged(x: torch.Tensor) -> torch.Tensor:
    """Return images with a little noise (up to 4 of 255 levels) or blur, each for half of them."""
    deviation = torch.rand(len(x), 1, 1, 1, device=x.device) * 8 / 255
    x = torch.where(
        torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5, x, x + deviation * torch.randn_like(x)
    )
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 3, 1)
    share = torch.rand(len(x), 1, 1, 1, device=x.device) * 0.7
    return torch.where(torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5, x, torch.lerp(x, blurred, share))


@torch.no_grad()
def features(network: Network, images: torch.Tensor, device: str) -> torch.Tensor:
    parts = [network((part.to(device).float() / 127.5) - 1) for part in images.split(256)]
    return torch.cat(parts).double().cpu()


def measure(
    networks: Sequence[Network], reals: torch.Tensor, fakes: torch.Tensor, device: str
) -> dict[str, float]:
    """Compare fakes with as many reals, both uint8 [N,3,S,S]. Values of networks are averaged."""
    found: dict[str, list[float]] = {"distance": [], "nn_accuracy": [], "coverage": []}
    for network in networks:
        real, fake = features(network, reals, device), features(network, fakes, device)
        scale = real.std(0) + 1e-6
        real, fake = real / scale, fake / scale
        found["distance"].append(distance(real, fake))
        found["nn_accuracy"].append(nn_accuracy(real, fake))
        found["coverage"].append(coverage(real, fake))
    means = {name: sum(values) / len(values) for name, values in found.items()}
    return {"sharpness": sharpness(fakes) / sharpness(reals)} | means


def distance(real: torch.Tensor, fake: torch.Tensor) -> float:
    """Return the unbiased squared MMD under a Gaussian kernel as wide as the median distance of reals, at most 2."""
    among = torch.cdist(real, real)
    width = among[~torch.eye(len(real), dtype=torch.bool)].median()

    def kernel(d: torch.Tensor) -> torch.Tensor:
        return torch.exp(-d.square() / (2 * width**2))

    n, m = len(real), len(fake)
    own = (kernel(among).sum() - n) / (n * (n - 1))
    theirs = (kernel(torch.cdist(fake, fake)).sum() - m) / (m * (m - 1))
    return float(own + theirs - 2 * kernel(torch.cdist(real, fake)).mean())


def nn_accuracy(real: torch.Tensor, fake: torch.Tensor) -> float:
    """Return the leave-one-out accuracy of a nearest neighbour that tells reals from fakes: 0.5 if it cannot."""
    both = torch.cat([real, fake])
    is_fake = torch.cat([torch.zeros(len(real)), torch.ones(len(fake))])
    apart = torch.cdist(both, both)
    apart.fill_diagonal_(math.inf)
    return float((is_fake[apart.argmin(1)] == is_fake).float().mean())


def coverage(real: torch.Tensor, fake: torch.Tensor) -> float:
    """Return the share of reals with a fake within the distance to their fifth real neighbour (Naeem et al. 2020)."""
    among = torch.cdist(real, real)
    radius = among.kthvalue(NEAREST + 1, dim=1).values
    return float((torch.cdist(real, fake).min(1).values <= radius).double().mean())
