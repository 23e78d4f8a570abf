"""What GANs of one generator and one discriminator share: a fit of alternating updates. A method gives its networks
and, where they are not those of Goodfellow et al. 2014, its losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from derm_bench.images import ImageSet
from derm_bench.run import Batch, Run
from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.gan_plugin import NoiseGenerator, normal, one_hot_of
from derm_bench.training.init import dcgan_init, start_statistics
from derm_bench.training.losses import discriminator_loss, generator_loss
from derm_bench_plugins.generators.dcgan_nets import ConditionalGenerator
from derm_bench_plugins.generators.specs.common import GanOptions


@dataclass(frozen=True)
class Players:
    """The optimizers of both networks."""

    generator: torch.optim.Optimizer
    discriminator: torch.optim.Optimizer


class Gan(NoiseGenerator):
    """Noise to images and images to verdicts: logits [N], or what `loss_d`, `loss_g` and `belief` take for them.

    `targets` float32 [N,K] are the classes of the batch of reals; fakes are made of the same ones.
    """

    options: GanOptions
    generator: nn.Module
    discriminator: nn.Module
    critic: bool = (
        False  # whether verdicts are scores without bounds, logged as `score_real` and `score_fake`
    )

    def fit(self, train: ImageSet, run: Run) -> None:
        """One update of D, then one of G, a batch."""
        engine = Engine(run, generator=self.generator, discriminator=self.discriminator)
        players = self.players(engine)
        noise = engine.stream("z")
        self.start(self.prior(self.options.batch_size, noise))

        def step(batch: Batch) -> dict[str, torch.Tensor]:
            return self.play(engine, players, batch, self.prior(len(batch.images), noise))

        engine.fit(step, train, self.options.batch_size, after=lambda b, _: run.snapshot(b.step, self.state))

    def players(self, engine: Engine) -> Players:
        options = self.options
        return Players(
            engine.adam(self.generator, options.lr, options.betas),
            engine.adam(self.discriminator, options.lr, options.betas),
        )

    def start(self, z: torch.Tensor) -> None:
        """Sets the statistics of G's BatchNorm to those of the images of `z`."""
        start_statistics(self.generator, z)

    def play(
        self, engine: Engine, players: Players, batch: Batch, z: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """One update of D on reals and fakes, each in a forward pass (and BatchNorm) of its own, then one of G."""
        images, targets = batch.images, batch.targets
        with engine.autocast():
            fake = self.generate(z, targets)
            on_real, on_fake = self.judge(images, targets), self.judge(fake.detach(), targets)
        loss_d = self.loss_d(on_real, on_fake, targets)
        minimise(loss_d, players.discriminator)

        with frozen(self.discriminator), engine.autocast():
            verdict = self.judge(fake, targets)
        loss_g = self.loss_g(verdict, targets)
        minimise(loss_g, players.generator)

        return {"loss_d": loss_d, "loss_g": loss_g} | self.seen(on_real.detach(), on_fake.detach())

    def seen(self, real: torch.Tensor, fake: torch.Tensor) -> dict[str, torch.Tensor]:
        """What is logged of D's verdicts, in the mean: `d_real` and `d_fake`, probabilities of being real, by which
        the health of a training is judged; of a critic `score_real` and `score_fake`."""
        if self.critic:
            return {"score_real": real.float().mean(), "score_fake": fake.float().mean()}
        return {"d_real": self.belief(real.float()).mean(), "d_fake": self.belief(fake.float()).mean()}

    def generate(self, z: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Images [N,3,S,S] in [-1,1]."""
        images: torch.Tensor = self.generator(z)
        return images

    def judge(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        verdicts: torch.Tensor = self.discriminator(images)
        return verdicts

    def loss_d(self, real: torch.Tensor, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return discriminator_loss(real, fake)

    def loss_g(self, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return generator_loss(fake)

    def belief(self, verdicts: torch.Tensor) -> torch.Tensor:
        """The probability of being real that D gives to images, [N]."""
        return verdicts.sigmoid()

    def prior(self, n: int, noise: torch.Generator) -> torch.Tensor:
        """z ~ N(0,1), float32 [n,z_dim]."""
        return normal(n, self.options.z_dim, noise)

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        images: torch.Tensor = self.generator(z)
        return images

    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}


class ConditionalGan(Gan):
    """A GAN on the layers of DCGAN whose G is told the class, as an embedding beside z."""

    generator: ConditionalGenerator
    classes: int

    def initialise(self) -> None:
        """As DCGAN, but for the embedding of classes: N(0,.1), a tenth of z. At the scale of z it crowds z out, since
        all gradients of a class agree on it, and the samples of a class become one image."""
        dcgan_init(self.generator)
        dcgan_init(self.discriminator)
        nn.init.normal_(self.generator.embed.weight, 0.0, 0.1)

    def start(self, z: torch.Tensor) -> None:
        """As many of each class."""
        start_statistics(
            self.generator, z, torch.eye(self.classes, device=z.device).repeat(len(z), 1)[: len(z)]
        )

    def generate(self, z: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        images: torch.Tensor = self.generator(z, targets)
        return images

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        return self.generate(z, one_hot_of(label, len(z), self.classes, z.device))
