"""The GAN of Goodfellow et al. 2014 with fully connected networks: z 100 normal, BCE, Adam 2e-4 (.5,.999).

    G  z -> 256 -> 512 -> 1024 -> S*S*3      LeakyReLU .2, tanh last
    D  S*S*3 -> 512 -> 256 -> 1              LeakyReLU .2

The numbers of units are those at `base: 256`. Goodfellow et al. train D on -log D(x) - log(1 - D(G(z))) and suggest
-log D(G(z)) for G where the other form saturates; here G always uses -log D(G(z)). Choices: the widths; LeakyReLU,
where Goodfellow et al. mix rectifiers, sigmoids and maxout; no dropout and no BatchNorm; Adam instead of momentum; and
torch's initialisation, because N(0,.02) is intended for layers followed by BatchNorm.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from derm_bench_plugins.generators.gan import Gan
from derm_bench_plugins.generators.regularised import regularised

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.vanilla_gan import VanillaOptions


class VanillaGan(Gan):
    """An unconditional GAN for images of any side."""

    def __init__(self, options: VanillaOptions, task: Task) -> None:
        self.options, self.device = options, task.device
        self.generator = Generator(options.z_dim, options.base, task.size).to(task.device)
        self.discriminator = Discriminator(options.d_base or options.base, task.size).to(task.device)
        regularised(self.discriminator, options)


class Generator(nn.Module):
    """z [N,z_dim] -> images [N,3,size,size] in [-1,1]."""

    def __init__(self, z_dim: int, base: int, size: int) -> None:
        super().__init__()
        self.shape = (3, size, size)
        self.layers = _perceptron(z_dim, base, 2 * base, 4 * base, 3 * size * size)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = torch.tanh(self.layers(z)).unflatten(1, self.shape)
        return images


class Discriminator(nn.Module):
    """Images [N,3,size,size] -> logits [N]. `features` returns the input of `logit`, [N,width]."""

    def __init__(self, base: int, size: int) -> None:
        super().__init__()
        self.width = base
        self.layers = nn.Sequential(_perceptron(3 * size * size, 2 * base, base), nn.LeakyReLU(0.2))
        self.logit = nn.Linear(base, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.layers(images.flatten(1))
        return features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.squeeze(self.logit(self.features(images)), 1)


def _perceptron(*widths: int) -> nn.Sequential:
    """Return linear layers with LeakyReLU between them."""
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])
