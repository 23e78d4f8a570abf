"""AC-GAN (Odena et al. 2017) as Xiang and Wang 2019 use it for skin lesions at 64 px: a DCGAN in which G gets the class
and D predicts it.

    G  z 100 with e(y) 100 -> the layers of DCGAN
    D  the layers of DCGAN -> two heads on the flattened 4x4x512 maps: real or fake, and the class

    L_S = -log p(real | x) - log p(fake | G(z,y))        D minimises L_S + L_C
    L_C = -log p(y | x) - log p(y | G(z,y))              G minimises -log p(real | G(z,y)) - log p(y | G(z,y))

(Odena et al. 2017, eq. 2 and 3, with the non-saturating form of G's source loss; L_C is multiplied by `class_weight`.)

Choices. Xiang and Wang do not state their layers: the backbone, z ~ N(0,1), the initialisation and Adam 2e-4 (.5,.999)
are DCGAN's. e is an embedding initialised from N(0,.1), so that it does not dominate z. A batch of fakes has the same
classes as the batch of reals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from derm_bench.training.losses import discriminator_loss, generator_loss, soft_cross_entropy
from derm_bench_plugins.generators.conditional_gan import ConditionalGan, ConditionalGenerator
from derm_bench_plugins.generators.dcgan_nets import Discriminator, stages_of

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.acgan import AcganOptions


class AcGan(ConditionalGan):
    """A conditional GAN for images of side `task.size`, a power of two of at least 8.

    D returns logits [N,1+K]: the first for being real, the others for the classes. Both heads are linear, so that one
    layer holds them.
    """

    options: AcganOptions

    def __init__(self, options: AcganOptions, task: Task) -> None:
        self.options, self.device, self.classes = options, task.device, len(task.classes)
        stages = stages_of(task.size, "acgan")
        generator = ConditionalGenerator(options.z_dim, self.classes, options.base, stages)
        discriminator = Discriminator(options.d_base or options.base, stages, outputs=1 + self.classes)
        self.generator, self.discriminator = generator.to(task.device), discriminator.to(task.device)
        self.initialise()

    def loss_d(self, real: torch.Tensor, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        by_class = soft_cross_entropy(real[:, 1:], targets) + soft_cross_entropy(fake[:, 1:], targets)
        return (
            discriminator_loss(real[:, 0], fake[:, 0], self.options.smoothing)
            + self.options.class_weight * by_class
        )

    def loss_g(self, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        by_class = soft_cross_entropy(fake[:, 1:], targets)
        return generator_loss(fake[:, 0]) + self.options.class_weight * by_class

    def prob_real(self, logits: torch.Tensor) -> torch.Tensor:
        """Return p(real | x)."""
        return logits[:, 0].sigmoid()
