"""DCGAN (Radford et al. 2016) as paper 002 uses it: z 100 uniform, 64 px, BCE, batch 64.

    G  z -> 4x4x1024 -> 8x8x512 -> 16x16x256 -> 32x32x128 -> 64x64x3    BN + ReLU, tanh last
    D  64x64x3 -> 32x32x64 -> 16x16x128 -> 8x8x256 -> 4x4x512 -> 1      LeakyReLU .2, BN but for the first

Channels at `base: 128`. Left open and taken from Radford: widths, initialisation, Adam 2e-4 (.5,.999),
BatchNorm of reals and fakes apart. Kernels are 4x4, which stride 2 divides evenly. Other sizes add or drop
layers at the 4x4 end.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.run import Batch, Run
from derm_bench.specs import Task
from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.gan_plugin import PRIORS, NoiseGenerator
from derm_bench.training.init import dcgan_init, start_statistics
from derm_bench.training.losses import discriminator_loss, generator_loss
from derm_bench_plugins.generators.specs.dcgan import DcganOptions


class Dcgan(NoiseGenerator):
    """An unconditional DCGAN of side `task.size`, a power of two from 8 on."""

    def __init__(self, options: DcganOptions, task: Task) -> None:
        self.options, self.device = options, task.device
        stages = _stages(task.size)
        self.generator = Generator(options.z_dim, options.base, stages).to(task.device)
        self.discriminator = Discriminator(options.base // 2, stages, options.head).to(task.device)
        dcgan_init(self.generator)
        dcgan_init(self.discriminator)

    def fit(self, train: ImageSet, run: Run) -> None:
        """One update of D, then one of G, a batch."""
        g, d = self.generator, self.discriminator
        engine = Engine(run, generator=g, discriminator=d)
        adam_g = engine.adam(g, self.options.lr, self.options.betas)
        adam_d = engine.adam(d, self.options.lr, self.options.betas)
        noise = engine.stream("z")
        start_statistics(g, self.prior(self.options.batch_size, noise))

        def step(batch: Batch) -> dict[str, torch.Tensor]:
            with engine.autocast():
                fake = g(self.prior(len(batch.images), noise))
                real_logits, fake_logits = d(batch.images), d(fake.detach())
            loss_d = discriminator_loss(real_logits, fake_logits)
            minimise(loss_d, adam_d)

            with frozen(d), engine.autocast():
                logits = d(fake)
            loss_g = generator_loss(logits)
            minimise(loss_g, adam_g)

            seen = {"d_real": real_logits, "d_fake": fake_logits}
            return {"loss_d": loss_d, "loss_g": loss_g} | {
                name: logits.detach().float().sigmoid().mean() for name, logits in seen.items()
            }

        engine.fit(step, train, self.options.batch_size, after=lambda b, _: run.snapshot(b.step, self.state))

    def prior(self, n: int, noise: torch.Generator) -> torch.Tensor:
        """z, float32 [n,z_dim]."""
        return PRIORS[self.options.prior](n, self.options.z_dim, noise)

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        images: torch.Tensor = self.generator(z)
        return images

    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}


class Generator(nn.Module):
    """z [N,z_dim] -> images [N,3,4*2^stages,4*2^stages] in [-1,1]; `base` channels before the last layer."""

    def __init__(self, z_dim: int, base: int, stages: int) -> None:
        super().__init__()
        widths = [base * 2**k for k in reversed(range(stages))]
        self.project = nn.Sequential(
            nn.ConvTranspose2d(z_dim, widths[0], 4, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.up = nn.Sequential(*[_up(a, b) for a, b in pairwise(widths)])
        self.to_rgb = nn.ConvTranspose2d(widths[-1], 3, 4, stride=2, padding=1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.up(self.project(z[:, :, None, None]))
        return torch.tanh(self.to_rgb(features))


class Discriminator(nn.Module):
    """Images [N,3,4*2^stages,4*2^stages] -> logits [N]; `base` channels after the first layer."""

    def __init__(self, base: int, stages: int, head: str) -> None:
        super().__init__()
        widths = [base * 2**k for k in range(stages)]
        self.from_rgb = nn.Sequential(
            nn.Conv2d(3, base, 4, stride=2, padding=1), nn.LeakyReLU(0.2, inplace=True)
        )
        self.down = nn.Sequential(*[_down(a, b) for a, b in pairwise(widths)])
        self.pool = nn.AdaptiveAvgPool2d(1) if head == "gap" else nn.Identity()
        self.logit = nn.Linear(widths[-1] * (1 if head == "gap" else 16), 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.pool(self.down(self.from_rgb(images)))
        return torch.squeeze(self.logit(features.flatten(1)), 1)


def _up(channels: int, out: int) -> nn.Sequential:
    conv = nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True))


def _down(channels: int, out: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, out, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.LeakyReLU(0.2, inplace=True))


def _stages(size: int) -> int:
    """Doublings from 4x4 to `size`."""
    if size < 8 or size & (size - 1):
        raise UserError(
            f"dcgan makes images whose side is a power of two, not {size}",
            hint="set the generator's size to 32, 64 or 128; samples are resized to the stored size",
        )
    return size.bit_length() - 3
