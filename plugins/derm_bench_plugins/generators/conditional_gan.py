"""The base of the conditional GANs on the layers of DCGAN. Their generator takes z and an embedding of the class."""

from __future__ import annotations

import torch
from torch import nn

from derm_bench.training.gan_plugin import one_hot_of
from derm_bench.training.init import dcgan_init, start_statistics
from derm_bench_plugins.generators.dcgan_nets import Generator
from derm_bench_plugins.generators.gan import Gan
from derm_bench_plugins.generators.regularised import regularised


class ConditionalGan(Gan):
    """A GAN on the layers of DCGAN in which G takes z and the class."""

    classes: int

    def initialise(self) -> None:
        """Initialise both networks as DCGAN, and the embedding of the classes from N(0,.1), a tenth of the scale of z.

        At the scale of z, the embedding would dominate z, because all gradients of a class agree on it, and the samples
        of a class would collapse to one image.
        """
        dcgan_init(self.generator)
        dcgan_init(self.discriminator)
        regularised(self.discriminator, self.options)
        if isinstance(self.generator, ConditionalGenerator):
            nn.init.normal_(self.generator.embed.weight, 0.0, 0.1)

    def start(self, z: torch.Tensor) -> None:
        """Set the statistics of G's BatchNorm from `z`, with equally many images of each class."""
        start_statistics(
            self.generator, z, torch.eye(self.classes, device=z.device).repeat(len(z), 1)[: len(z)]
        )

    def inputs(self, z: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return z, targets

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        return self.generate(z, one_hot_of(label, len(z), self.classes, z.device))


class ConditionalGenerator(nn.Module):
    """z [N,z_dim] and targets [N,K] -> images: a `Generator` of z joined with an embedding of the class, as long as
    z."""

    def __init__(self, z_dim: int, classes: int, base: int, stages: int) -> None:
        super().__init__()
        self.embed = nn.Linear(classes, z_dim, bias=False)  # applied to one-hot targets: one row per class
        self.net = Generator(2 * z_dim, base, stages)

    def forward(self, z: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self.net(torch.cat([z, self.embed(targets)], dim=1))
        return images
