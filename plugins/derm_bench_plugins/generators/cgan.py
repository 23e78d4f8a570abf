"""Conditional GANs at 64 px: with the projection of Miyato and Koyama 2018, or as Mirza and Osindero 2014.

    G  z 100 -> the layers of DCGAN, with a scale and a shift per class in every BatchNorm
    D  f(x, y) = <v_y, phi(x)> + psi(phi(x))                            (Miyato and Koyama 2018, eq. 4 and figure 1d)

v is an embedding of the class; phi is the last maps of DCGAN's D, summed over their 4x4 positions, and psi a linear
layer. D has spectral normalisation instead of BatchNorm. The loss is `hinge`, with Adam 2e-4 (0,.9) and five updates of
D per update of G (Miyato and Koyama 2018, section 6 and appendix).

The preset `mirza` is the conditional GAN of 2014 on the same layers: z joined with an embedding e(y) of the class, one
constant plane per class joined with D's images, BatchNorm in D, `bce`, Adam 2e-4 (.5,.999), and one update of D per
update of G.

Choices. The papers that cite conditional GANs for skin state no layers: the backbone, z ~ N(0,1) and the initialisation
are DCGAN's, where Miyato and Koyama have residual networks. e is initialised from N(0,.1), so that it does not dominate
z, and v from N(0,.02), like the rest of D. A batch of fakes has the same classes as the batch of reals.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from derm_bench.training.conditional_norm import ConditionalBatchNorm2d
from derm_bench.training.losses import ADVERSARIAL, discriminator_loss
from derm_bench_plugins.generators.conditional_gan import ConditionalGan, ConditionalGenerator
from derm_bench_plugins.generators.dcgan_nets import Discriminator, Generator, Trunk, stages_of

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.cgan import CganOptions


class Cgan(ConditionalGan):
    """A conditional GAN for images of side `task.size`, a power of two of at least 8."""

    options: CganOptions

    def __init__(self, options: CganOptions, task: Task) -> None:
        self.options, self.device, self.classes = options, task.device, len(task.classes)
        stages = stages_of(task.size, "cgan")
        make_g = ClassNormGenerator if options.conditional_norm else ConditionalGenerator
        make_d = DISCRIMINATORS[options.discriminator]
        self.generator = make_g(options.z_dim, self.classes, options.base, stages).to(task.device)
        self.discriminator = make_d(options.d_base or options.base, stages, self.classes).to(task.device)
        self.initialise()
        self.adversarial_loss_d, self.adversarial_loss_g = ADVERSARIAL[options.loss]
        if options.smoothing:  # for bce alone
            self.adversarial_loss_d = partial(discriminator_loss, smoothing=options.smoothing)
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


class PlanesDiscriminator(nn.Module):
    """Images [N,3,S,S] and targets [N,K] -> logits [N]. The targets are K constant planes beside the images."""

    def __init__(self, base: int, stages: int, classes: int) -> None:
        super().__init__()
        self.net = Discriminator(base, stages, planes=classes)

    def forward(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        planes = targets.to(images.dtype)[:, :, None, None].expand(-1, -1, *images.shape[2:])
        logits: torch.Tensor = self.net(torch.cat([images, planes], dim=1))
        return logits


DISCRIMINATORS = {"projection": ProjectionDiscriminator, "planes": PlanesDiscriminator}


class ClassNormGenerator(nn.Module):
    """z [N,z_dim] and targets [N,K] -> images: the layers of a `Generator` whose BatchNorm knows the class."""

    def __init__(self, z_dim: int, classes: int, base: int, stages: int) -> None:
        super().__init__()
        net = Generator(z_dim, base, stages)
        self.convs = nn.ModuleList([net.project[0], *(up[0] for up in net.up)])  # type: ignore[index]
        widths = [conv.out_channels for conv in self.convs]
        self.norms = nn.ModuleList([ConditionalBatchNorm2d(int(width), classes) for width in widths])  # type: ignore[arg-type]
        self.to_rgb = net.to_rgb

    def forward(self, z: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        x = z[:, :, None, None]
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = torch.relu(norm(conv(x), targets))
        return torch.tanh(self.to_rgb(x))
