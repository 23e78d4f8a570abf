"""R3GAN (Huang et al.: The GAN is dead; long live the GAN! NeurIPS 2024), a modern baseline without tricks. The
networks are in `r3gan_nets`.

    loss       softplus(-(D(x) - D(G(z)))) for D, softplus(-(D(G(z)) - D(x))) for G, over pairs of a real and a fake
    R1, R2     gamma / 2 |grad D|^2 at reals and at fakes, at every update
    Adam       (0, beta2)
    average    of G's weights, from which samples are drawn
    burn-in    gamma, learning rate and 1 - beta2 go from their first to their last values along a cosine, then stay

There is no minibatch deviation, path length, style, noise, mixing or normalisation.

Choices. The cosine is followed in 16 levels, so that an update can be recorded once per level. The half-life of the
average grows with the images shown, up to `ema_kimg` at the end of the burn-in. The augmentation of D's images in the
authors' configurations, with a probability that follows the burn-in from 0 to .3 (FFHQ) or .55 (CIFAR-10), is not part
of it. G and D embed the class in equally many numbers; the authors' D has as many as channels at 4 px, 768.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.losses import r1_penalty, relativistic_loss
from derm_bench_plugins.generators.averaged_gan import AveragedGan
from derm_bench_plugins.generators.doublings import doublings
from derm_bench_plugins.generators.r3gan_nets import Discriminator, Generator
from derm_bench_plugins.generators.stylegan2_nets import widths

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Batch, Run
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.r3gan import R3ganOptions

LEVELS = 16


class R3gan(AveragedGan):
    """An R3GAN for images of side `task.size`, a power of two of at least 8; conditional if the task has more than one
    class."""

    options: R3ganOptions
    trained: Generator
    discriminator: Discriminator

    def __init__(self, options: R3ganOptions, task: Task) -> None:
        doublings("r3gan", task.size, 8)
        self.options, self.device, self.size = options, task.device, task.size
        self.classes = len(task.classes) if len(task.classes) > 1 else 0
        channels = widths(task.size, options.base, options.widest)
        common = {
            "embedding": options.embedding,
            "classes": self.classes,
            "blocks": options.blocks,
            "expansion": options.expansion,
            "group_width": options.group_width,
        }
        self.trained = Generator(channels, z_dim=options.z_dim, **common).to(task.device)
        self.discriminator = Discriminator(channels, **common).to(task.device)
        self.generator: nn.Module = copy.deepcopy(self.trained)

    def fit(self, train: ImageSet, run: Run) -> None:
        """Per batch, update G and D once."""
        options = self.options
        engine = Engine(run, generator=self.trained, discriminator=self.discriminator)
        updates = Updates(self, engine)
        half_life = options.ema_kimg * 1000 / options.batch_size
        burn_in = self.burn_in(run.budget)
        self.generator = engine.average(self.trained, half_life=half_life, ramp=half_life / burn_in).net
        engine.fit(
            updates.step,
            train,
            options.batch_size,
            before=lambda step: {"level": level(step, burn_in)},
            after=lambda batch, _: run.snapshot(batch.step, self.state),
        )

    def burn_in(self, budget: int) -> float:
        """Return the updates of the burn-in in a fit of `budget` updates, at least one."""
        options = self.options
        if options.burn_in_kimg is None:
            return max(1.0, budget / 5)
        return max(1.0, options.burn_in_kimg * 1000 / options.batch_size)


def level(step: int, burn_in: float) -> int:
    """Return how far the burn-in is at update `step` (from 1), 0 to 16."""
    return min(LEVELS, int(LEVELS * (step - 1) / burn_in))


def between(first: float, last: float, at: int) -> float:
    """Return the value at a level, along half a cosine from `first` at 0 to `last` at 16."""
    return last + (first - last) * (1 + math.cos(math.pi * at / LEVELS)) / 2


class Updates:
    """The updates of both networks."""

    def __init__(self, gan: R3gan, engine: Engine) -> None:
        options = gan.options
        self.gan, self.options, self.engine = gan, options, engine
        self.g, self.d = gan.trained, gan.discriminator
        self.adam_g = engine.adam(self.g, options.lr[0], (0.0, options.beta2[0]))
        self.adam_d = engine.adam(self.d, options.lr[0], (0.0, options.beta2[0]))
        self.noise = engine.stream("z")

    def step(self, batch: Batch, level: int) -> dict[str, torch.Tensor]:
        """Both updates of a batch; returns the values to log."""
        self.schedule(level)
        targets = batch.targets if self.gan.classes else None
        logs = {"loss_g": self.update_g(batch.images, targets)}
        return logs | self.update_d(batch.images, targets, between(*self.options.gamma, level))

    def schedule(self, level: int) -> None:
        """Set the learning rate and beta2 of both optimizers."""
        options = self.options
        lr = between(*options.lr, level)
        beta2 = 1 - between(1 - options.beta2[0], 1 - options.beta2[1], level)
        for optimizer in (self.adam_g, self.adam_d):
            for group in optimizer.param_groups:
                group["betas"] = (0.0, beta2)
                if isinstance(group["lr"], torch.Tensor):
                    group["lr"].fill_(lr)
                else:
                    group["lr"] = lr

    def update_g(self, reals: torch.Tensor, targets: torch.Tensor | None) -> torch.Tensor:
        """Update G by the relativistic loss against a batch of reals."""
        with frozen(self.d):
            with self.engine.autocast():
                with torch.no_grad():
                    on_reals = self.d(reals, targets)
                on_fakes = self.d(self.synthesise(len(reals), targets), targets)
            loss = relativistic_loss(on_fakes, on_reals)
            minimise(loss, self.adam_g)
        return loss

    def update_d(
        self, reals: torch.Tensor, targets: torch.Tensor | None, gamma: float
    ) -> dict[str, torch.Tensor]:
        """Update D by the relativistic loss, R1 and R2. `d_real` is the mean probability that a real looks more real
        than a fake, `d_fake` the reverse."""
        with torch.no_grad(), self.engine.autocast():
            fakes = self.synthesise(len(reals), targets)
        reals = reals.detach().float().requires_grad_(True)
        fakes = fakes.detach().float().requires_grad_(True)
        with self.engine.autocast():
            on_reals, on_fakes = self.d(reals, targets), self.d(fakes, targets)
        loss = relativistic_loss(on_reals, on_fakes)
        r1, r2 = r1_penalty(on_reals, reals), r1_penalty(on_fakes, fakes)
        minimise(loss + gamma / 2 * (r1 + r2), self.adam_d)
        lead = (on_reals - on_fakes).detach().float()
        outputs = {"d_real": lead.sigmoid().mean(), "d_fake": (-lead).sigmoid().mean()}
        return {"loss_d": loss, "r1": r1, "r2": r2} | outputs

    def synthesise(self, n: int, targets: torch.Tensor | None) -> torch.Tensor:
        images: torch.Tensor = self.g(self.gan.prior(n, self.noise), targets)
        return images
