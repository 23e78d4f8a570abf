"""The GAN of Rashid et al. 2019. Its discriminator is also the classifier, of K classes of lesions and a class "fake".

    G  z 100 with e(y) 100 -> the layers of DCGAN
    D  the layers of DCGAN -> K+1 logits

    L_D = -log p(y | x) - log p(K+1 | G(z,y))            (Salimans et al. 2016, section 5, where all reals have labels)
    L_G = -log p(y | G(z,y))

The loss of G is low if D assigns a fake of class y to class y. It does not saturate, and it teaches G the class.
(Odena 2016 accepts any class but "fake", and Salimans et al. match features; neither alone makes G generate images of
class y.) `feature_matching` w adds the loss of Salimans et al. 2016, section 3.1, over those reals x and fakes of a
batch that have the same class y, and averages it over the classes of the batch:

    w || mean f(x) - mean f(G(z,y)) ||^2                 f: the inputs of D's last layer

Over all classes together it would be as low for a G that exchanges them.

Choices. The layers of Rashid et al. were not available: the backbone, the initialisation and Adam 2e-4 (.5,.999) are
DCGAN's, z ~ N(0,1), and e is initialised from N(0,.1). G gets the class, because samples are requested by class. A
batch of fakes has the same classes as the batch of reals. The part `discriminator` classifies by its first K logits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from derm_bench.training.losses import (
    feature_distance,
    k_plus_one_discriminator_loss,
    k_plus_one_generator_loss,
)
from derm_bench_plugins.generators.conditional_gan import ConditionalGan, ConditionalGenerator
from derm_bench_plugins.generators.dcgan_nets import Discriminator, stages_of

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench.training.engine import Engine
    from derm_bench_plugins.generators.specs.semi_gan import SemiGanOptions


class SemiGan(ConditionalGan):
    """A conditional GAN for images of side `task.size`, a power of two of at least 8.

    D returns logits [N,K+1], the last one for "fake".
    """

    options: SemiGanOptions
    discriminator: Discriminator

    def __init__(self, options: SemiGanOptions, task: Task) -> None:
        self.options, self.device, self.classes = options, task.device, len(task.classes)
        stages = stages_of(task.size, "semi-gan")
        generator = ConditionalGenerator(options.z_dim, self.classes, options.base, stages)
        discriminator = Discriminator(options.d_base or options.base, stages, outputs=self.classes + 1)
        self.generator, self.discriminator = generator.to(task.device), discriminator.to(task.device)
        self.initialise()

    def loss_d(self, real: torch.Tensor, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return k_plus_one_discriminator_loss(real, fake, targets)

    def loss_g(self, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return k_plus_one_generator_loss(fake, targets)

    def judge(
        self, engine: Engine, images: torch.Tensor, fake: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        if not self.options.feature_matching:
            return super().judge(engine, images, fake, targets)
        with engine.autocast():
            features = self.discriminator.features(self.augment(fake))
            logits = self.discriminator.logit(features)
            with torch.no_grad():
                wanted = self.discriminator.features(self.augment(images))
        return self.loss_g(logits, targets) + self.options.feature_matching * feature_distance(
            wanted, features, targets
        )

    def prob_real(self, logits: torch.Tensor) -> torch.Tensor:
        """Return 1 - p(K+1 | x)."""
        return 1 - logits.softmax(dim=1)[:, -1]
