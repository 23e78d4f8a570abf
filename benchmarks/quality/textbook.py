"""Textbook GANs: DCGAN as in PyTorch's tutorial, and the same with the class as a second input of both networks.

Networks, initialisation, losses and optimizers are those of Radford et al. 2016; the conditional one joins an embedding
of the class with z, and gives D one constant plane per class (Mirza and Osindero 2014). Written without derm-bench, as
a user would write it. G and D have `width` channels at half the side of the images, and twice as many at each half of
that.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import nn
from torch.nn import functional as F

Z = 100


def multiples(side: int) -> list[int]:
    """Return the channels of the maps from half the side down to 4x4, as multiples of the width: 1, 2, 4, 8 for 64."""
    return [2**k for k in range(side.bit_length() - 3)]


class Generator(nn.Module):
    def __init__(self, side: int, width: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        channels = [Z + classes, *(k * width for k in reversed(multiples(side)))]
        layers: list[nn.Module] = []
        for k in range(len(channels) - 1):
            stride, padding = (1, 0) if k == 0 else (2, 1)
            layers += [
                nn.ConvTranspose2d(channels[k], channels[k + 1], 4, stride, padding, bias=False),
                nn.BatchNorm2d(channels[k + 1]),
                nn.ReLU(True),
            ]
        self.net = nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh())

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if self.classes:
            z = torch.cat([z, F.one_hot(y, self.classes).float()], 1)
        images: torch.Tensor = self.net(z[:, :, None, None])
        return images


class Discriminator(nn.Module):
    def __init__(self, side: int, width: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        layers: list[nn.Module] = [
            nn.Conv2d(3 + classes, width, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, True),
        ]
        for k in multiples(side)[:-1]:
            layers += [
                nn.Conv2d(k * width, 2 * k * width, 4, 2, 1, bias=False),
                nn.BatchNorm2d(2 * k * width),
                nn.LeakyReLU(0.2, True),
            ]
        widest = multiples(side)[-1] * width
        self.net = nn.Sequential(*layers, nn.Conv2d(widest, 1, 4, 1, 0, bias=False))

    def forward(self, images: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if self.classes:
            planes = F.one_hot(y, self.classes).float()[:, :, None, None].expand(-1, -1, *images.shape[2:])
            images = torch.cat([images, planes], 1)
        return self.net(images).flatten()


def weights_init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


def fit(
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    classes: int,
    updates: int,
    seed: int,
    device: str,
    autocast: Callable[[], AbstractContextManager[object]],
    width: int = 32,
    batch: int = 64,
    lr: float = 2e-4,
) -> Generator:
    """Train on images uint8 [N,3,S,S], S a power of two; `classes` is 0 for the unconditional GAN. `autocast`
    returns the context of a forward pass."""
    torch.manual_seed(seed)
    side = images.shape[-1]
    g, d = Generator(side, width, classes).to(device), Discriminator(side, width, classes).to(device)
    g.apply(weights_init)
    d.apply(weights_init)
    adam_g = torch.optim.Adam(g.parameters(), lr=lr, betas=(0.5, 0.999))
    adam_d = torch.optim.Adam(d.parameters(), lr=lr, betas=(0.5, 0.999))
    criterion = nn.BCEWithLogitsLoss()
    data = images.to(device).float() / 127.5 - 1
    labels = labels.to(device)
    order: list[torch.Tensor] = []
    for _ in range(updates):
        if not order:
            order = list(torch.randperm(len(data), device=device).split(batch))
            order = [rows for rows in order if len(rows) == batch]
        rows = order.pop()
        real, y = data[rows], labels[rows]
        with autocast():
            fake = g(torch.randn(batch, Z, device=device), y)
            on_real, on_fake = d(real, y), d(fake.detach(), y)
        d.zero_grad()
        loss = criterion(on_real.float(), torch.ones(batch, device=device))
        loss = loss + criterion(on_fake.float(), torch.zeros(batch, device=device))
        loss.backward()
        adam_d.step()
        g.zero_grad()
        with autocast():
            on_fake = d(fake, y)
        criterion(on_fake.float(), torch.ones(batch, device=device)).backward()
        adam_g.step()
    return g


@torch.no_grad()
def sample(g: Generator, n: int, label: int, seed: int, device: str) -> torch.Tensor:
    """Return uint8 [n,3,S,S], drawn in train mode in batches of 64, as the tutorial does."""
    torch.manual_seed(seed)
    made = []
    for start in range(0, n, 64):
        z = torch.randn(64, Z, device=device)
        y = torch.full((64,), label, device=device)
        made.append(g(z, y)[: n - start])
    return torch.cat(made).mul(127.5).add(127.5).round().clamp(0, 255).byte().cpu()
