"""What GANs of one generator and one discriminator share: a fit of alternating updates. A method gives its networks
and, where they are not those of Goodfellow et al. 2014, its losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.gan_plugin import NoiseGenerator, normal
from derm_bench.training.init import start_statistics
from derm_bench.training.losses import discriminator_loss, generator_loss

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Batch, Run
    from derm_bench_plugins.generators.specs.common import GanOptions


@dataclass(frozen=True)
class Optimizers:
    """The optimizers of both networks."""

    generator: torch.optim.Optimizer
    discriminator: torch.optim.Optimizer


class Gan(NoiseGenerator):
    """Noise to images and images to logits [N]: of being real.

    A method may have other outputs of D, if its `loss_d`, `loss_g` and `prob_real` fit them; they are called logits
    here in any case. `targets` float32 [N,K] are the classes of the batch of reals; fakes are made of the same ones.
    """

    options: GanOptions
    generator: nn.Module
    discriminator: nn.Module
    # Whether D gives scores without bounds instead of logits; they are logged as `score_real` and `score_fake`.
    critic: bool = False

    def fit(self, train: ImageSet, run: Run) -> None:
        """One update of D, then one of G, per batch."""
        engine = Engine(run, generator=self.generator, discriminator=self.discriminator)
        optimizers = self.optimizers(engine)
        noise = engine.stream("z")
        self.start(self.prior(self.options.batch_size, noise))

        def step(batch: Batch) -> dict[str, torch.Tensor]:
            return self.train_step(engine, optimizers, batch, self.prior(len(batch.images), noise))

        engine.fit(step, train, self.options.batch_size, after=lambda b, _: run.snapshot(b.step, self.state))

    def optimizers(self, engine: Engine) -> Optimizers:
        options = self.options
        return Optimizers(
            engine.adam(self.generator, options.lr, options.betas),
            engine.adam(self.discriminator, options.lr, options.betas),
        )

    def start(self, z: torch.Tensor) -> None:
        """Sets the statistics of G's BatchNorm to those of the images of `z`."""
        start_statistics(self.generator, z)

    def train_step(
        self, engine: Engine, optimizers: Optimizers, batch: Batch, z: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """One update of D on reals and fakes, each in a forward pass (and BatchNorm) of its own, then one of G.
        Returns what is logged."""
        images, targets = batch.images, batch.targets
        with engine.autocast():
            fake = self.generate(z, targets)
            real_logits = self.discriminate(images, targets)
            fake_logits = self.discriminate(fake.detach(), targets)
        loss_d = self.loss_d(real_logits, fake_logits, targets)
        minimise(loss_d, optimizers.discriminator)

        with frozen(self.discriminator), engine.autocast():
            logits = self.discriminate(fake, targets)
        loss_g = self.loss_g(logits, targets)
        minimise(loss_g, optimizers.generator)

        logged = self.mean_outputs(real_logits.detach(), fake_logits.detach())
        return {"loss_d": loss_d, "loss_g": loss_g} | logged

    def mean_outputs(self, real: torch.Tensor, fake: torch.Tensor) -> dict[str, torch.Tensor]:
        """Means of D's outputs over a batch, for the log: `d_real` and `d_fake`, probabilities of being real, by
        which the health of a training is assessed; of a critic `score_real` and `score_fake`."""
        if self.critic:
            return {"score_real": real.float().mean(), "score_fake": fake.float().mean()}
        return {"d_real": self.prob_real(real.float()).mean(), "d_fake": self.prob_real(fake.float()).mean()}

    def generate(self, z: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Images [N,3,S,S] in [-1,1]."""
        images: torch.Tensor = self.generator(z)
        return images

    def discriminate(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """D's logits for images [N,3,S,S] in [-1,1] of the classes `targets`."""
        logits: torch.Tensor = self.discriminator(images)
        return logits

    def loss_d(self, real: torch.Tensor, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of D, a scalar, from its logits for reals and for fakes."""
        return discriminator_loss(real, fake)

    def loss_g(self, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss of G, a scalar, from D's logits for fakes."""
        return generator_loss(fake)

    def prob_real(self, logits: torch.Tensor) -> torch.Tensor:
        """The probability of being real that D gives to images, [N]."""
        return logits.sigmoid()

    def prior(self, n: int, noise: torch.Generator) -> torch.Tensor:
        """z ~ N(0,1), float32 [n,z_dim]."""
        return normal(n, self.options.z_dim, noise)

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        images: torch.Tensor = self.generator(z)
        return images

    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}
