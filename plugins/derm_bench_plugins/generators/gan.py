"""The base of GANs with one generator and one discriminator, which are updated in turn. A subclass defines the networks
and, if they differ from those of Goodfellow et al. 2014, the losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.training.diffaugment import DiffAugment
from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.gan_plugin import NoiseGenerator, normal, one_hot_of
from derm_bench.training.init import recalibrate_statistics, start_statistics
from derm_bench.training.losses import discriminator_loss, generator_loss
from derm_bench.training.seeding import stream

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Batch, Run
    from derm_bench_plugins.generators.specs.common import TwoPlayerOptions


# The number of batches over which the statistics of BatchNorm are computed at the end of a fit.
RECALIBRATED = 30


@dataclass(frozen=True)
class Optimizers:
    """The optimizers of the two networks."""

    generator: torch.optim.Optimizer
    discriminator: torch.optim.Optimizer


class Gan(NoiseGenerator):
    """A GAN: G maps noise to images, and D maps images to logits [N] of being real.

    D may have other outputs if the subclass defines `loss_d`, `loss_g` and `prob_real` for them; all outputs of D are
    called logits here. `targets` float32 [N,K] are the classes of the batch of reals; the fakes have the same classes.
    """

    options: TwoPlayerOptions
    generator: nn.Module
    discriminator: nn.Module
    # Whether D returns unbounded scores instead of logits. They are logged as `score_real` and `score_fake`.
    critic: bool = False
    # The number of classes that targets have; 1 if D and G do not see them.
    classes: int = 1
    # What D's images pass through during a fit: nothing, or DiffAugment.
    augment: Callable[[torch.Tensor], torch.Tensor] = staticmethod(lambda images: images)
    # During a fit with `ema`, the moving average of `generator`, which snapshots contain.
    averaged: nn.Module | None = None

    def fit(self, train: ImageSet, run: Run) -> None:
        """Per batch, update D once; update G at the first batch and at every `d_steps`-th after it."""
        engine = Engine(run, generator=self.generator, discriminator=self.discriminator)
        optimizers = self.optimizers(engine)
        noise = engine.stream("z")
        self.start(self.prior(self.options.batch_size, noise))
        self.prepare(engine)

        def step(batch: Batch, update_g: bool) -> dict[str, torch.Tensor]:
            z = self.prior(len(batch.images), noise)
            return self.train_step(engine, optimizers, batch, z, update_g=update_g)

        def state() -> dict[str, torch.Tensor]:
            self.recalibrate(self.random_inputs(train, run))
            return self.state()

        engine.fit(
            step,
            train,
            self.options.batch_size,
            lazily={"update_g": self.options.d_steps},
            after=lambda batch, _: run.snapshot(batch.step, state),
        )
        self.recalibrate(self.random_inputs(train, run))
        self.keep_average()

    def optimizers(self, engine: Engine) -> Optimizers:
        options = self.options
        return Optimizers(
            engine.adam(self.generator, options.lr, options.betas),
            engine.adam(self.discriminator, options.lr_d or options.lr, options.betas),
        )

    def start(self, z: torch.Tensor) -> None:
        """Set the statistics of G's BatchNorm to those of the images generated from `z`."""
        start_statistics(self.generator, z)

    def prepare(self, engine: Engine, name: str = "diffaugment") -> None:
        """Prepare the augmentation of D's images, under the stream `name`, and the moving average of G's weights."""
        if self.options.diffaugment:
            self.augment = DiffAugment(self.options.diffaugment, engine.stream(name))
        if self.options.ema:
            self.averaged = engine.average(self.generator, self.options.ema, warm_up=True).net

    def keep_average(self) -> None:
        """Replace G's weights by their moving average, if there is one."""
        if self.averaged is not None:
            self.generator.load_state_dict(self.averaged.state_dict())
            self.averaged = None

    def recalibrate(self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Set the statistics of BatchNorm in the network that samples are drawn from, over batches of noise and
        targets."""
        recalibrate_statistics(self.sampled, (self.inputs(*batch) for batch in batches))

    def random_inputs(self, train: ImageSet, run: Run) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield `RECALIBRATED` batches of noise and the targets of random training images."""
        draws, n = stream(run.seed, "recalibrate", self.device), self.options.batch_size
        for _ in range(RECALIBRATED):
            yield self.prior(n, draws), self.conditions(train, n, draws)

    def conditions(self, train: ImageSet, n: int, draws: torch.Generator) -> torch.Tensor:
        """Return the targets float32 [n,K] of `n` random training images."""
        rows = torch.randint(len(train), (n,), generator=draws, device=draws.device)
        labels = train.labels.to(rows.device)[rows]
        # Images without a label, -1, are for networks that do not see classes.
        return F.one_hot(labels.clamp(min=0), len(train.classes)).float()

    def inputs(self, z: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the inputs of G."""
        return (z,)

    def train_step(
        self,
        engine: Engine,
        optimizers: Optimizers,
        batch: Batch,
        z: torch.Tensor,
        *,
        update_g: bool = True,
    ) -> dict[str, torch.Tensor]:
        """Update D once, then G once if `update_g` is set, and return the values to log.

        D gets reals and fakes in separate forward passes, so that BatchNorm sees them separately.
        """
        images, targets = batch.images, batch.targets
        with engine.autocast():
            fake = self.generate(z, targets)
            real_logits = self.discriminate(self.augment(images), targets)
            fake_logits = self.discriminate(self.augment(fake.detach()), targets)
        loss_d = self.loss_d(real_logits, fake_logits, targets)
        minimise(loss_d, optimizers.discriminator)

        logged = {"loss_d": loss_d} | self.mean_outputs(real_logits.detach(), fake_logits.detach())
        if not update_g:
            return logged

        with frozen(self.discriminator):
            loss_g = self.judge(engine, images, fake, targets)
        minimise(loss_g, optimizers.generator)
        return logged | {"loss_g": loss_g}

    def judge(
        self, engine: Engine, images: torch.Tensor, fake: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss of G for the images `fake` of the classes `targets`, given as many reals of these classes."""
        with engine.autocast():
            logits = self.discriminate(self.augment(fake), targets)
        return self.loss_g(logits, targets)

    def mean_outputs(self, real: torch.Tensor, fake: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the means of D's outputs over a batch, for the log.

        They are the probabilities of being real `d_real` and `d_fake`, which the health check of a fit uses, or, for a
        critic, `score_real` and `score_fake`.
        """
        if self.critic:
            return {"score_real": real.float().mean(), "score_fake": fake.float().mean()}
        return {"d_real": self.prob_real(real.float()).mean(), "d_fake": self.prob_real(fake.float()).mean()}

    def generate(self, z: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return images [N,3,S,S] in [-1,1]."""
        images: torch.Tensor = self.generator(*self.inputs(z, targets))
        return images

    def discriminate(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return D's logits for images [N,3,S,S] in [-1,1] of the classes `targets`."""
        logits: torch.Tensor = self.discriminator(images)
        return logits

    def loss_d(self, real: torch.Tensor, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of D, a scalar, computed from its logits for reals and for fakes."""
        return discriminator_loss(real, fake, self.options.smoothing)

    def loss_g(self, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of G, a scalar, computed from D's logits for fakes."""
        return generator_loss(fake)

    def prob_real(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the probability of being real for each image, [N]."""
        return logits.sigmoid()

    @torch.inference_mode()
    def realness(self, images: torch.Tensor, label: int | None) -> torch.Tensor:
        """Return the probability of being real that D gives to each image, float64 [n], which does not round to 1."""
        self.discriminator.eval()
        targets = one_hot_of(label if self.classes > 1 else 0, len(images), self.classes, images.device)
        return self.prob_real(self.discriminate(images, targets).double())

    def prior(self, n: int, noise: torch.Generator) -> torch.Tensor:
        """Draw z ~ N(0,1), float32 [n,z_dim]."""
        return normal(n, self.options.z_dim, noise)

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        images: torch.Tensor = self.generator(z)
        return images

    @property
    def sampled(self) -> nn.Module:
        """The network that samples are drawn from: G, or during a fit with `ema` its average."""
        return self.generator if self.averaged is None else self.averaged

    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.sampled, "discriminator": self.discriminator}
