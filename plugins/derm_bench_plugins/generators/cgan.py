"""A conditional GAN (Mirza and Osindero 2014) with the projection discriminator of Miyato and Koyama 2018, at 64 px.

    G  z 100 with e(y) 100 -> the layers of DCGAN
    D  f(x, y) = <v_y, phi(x)> + psi(phi(x))                            (Miyato and Koyama 2018, eq. 4 and figure 1d)

e and v are embeddings of the class; phi is the last maps of DCGAN's D (512 channels), summed over their 4x4 positions;
psi is a linear layer. The loss is `bce`, as in the original GAN, or `hinge`, as in Miyato and Koyama.

Choices. The papers that cite conditional GANs for skin state no layers: the backbone, z ~ N(0,1), the initialisation
and Adam 2e-4 (.5,.999) are DCGAN's. D keeps its BatchNorm instead of using spectral normalisation, and G gets the class
at its input instead of in its BatchNorm. e is initialised from N(0,.1), so that it does not dominate z, and v from
N(0,.02), like the rest of D. A batch of fakes has the same classes as the batch of reals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from derm_bench.training.losses import ADVERSARIAL
from derm_bench_plugins.generators.conditional_gan import ConditionalGan, ConditionalGenerator
from derm_bench_plugins.generators.dcgan_nets import Trunk, stages_of

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.cgan import CganOptions


class Cgan(ConditionalGan):
    """A conditional GAN for images of side `task.size`, a power of two of at least 8."""

    options: CganOptions

    def __init__(self, options: CganOptions, task: Task) -> None:
        self.options, self.device, self.classes = options, task.device, len(task.classes)
        stages = stages_of(task.size, "cgan")
        generator = ConditionalGenerator(options.z_dim, self.classes, options.base, stages)
        discriminator = ProjectionDiscriminator(options.d_base or options.base, stages, self.classes)
        self.generator, self.discriminator = generator.to(task.device), discriminator.to(task.device)
        self.initialise()
        self.adversarial_loss_d, self.adversarial_loss_g = ADVERSARIAL[options.loss]
        self.critic = options.loss == "hinge"

    def discriminate(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.discriminator(images, targets)
        return logits

    def loss_d(self, real: torch.Tensor, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.adversarial_loss_d(real, fake)

    def loss_g(self, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.adversarial_loss_g(fake)


class ProjectionDiscriminator(nn.Module):
    """Images [N,3,4*2^stages,4*2^stages] and targets [N,K] -> logits [N]. `features` returns phi(x), [N,width]."""

    def __init__(self, base: int, stages: int, classes: int) -> None:
        super().__init__()
        self.trunk = Trunk(base, stages)
        self.width = self.trunk.channels
        self.logit = nn.Linear(self.width, 1)
        self.embed = nn.Linear(
            classes, self.width, bias=False
        )  # applied to one-hot targets: one row per class

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return self.trunk.maps(images).sum(dim=(2, 3))

    def forward(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        phi = self.features(images)
        projection: torch.Tensor = (self.embed(targets) * phi).sum(dim=1)
        return projection + torch.squeeze(self.logit(phi), 1)
