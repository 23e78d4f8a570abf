"""DCGAN (Radford et al. 2016) as paper 002 uses it: z 100 uniform, 64 px, BCE, batch 64.

    G  z -> 4x4x1024 -> 8x8x512 -> 16x16x256 -> 32x32x128 -> 64x64x3    BN + ReLU, tanh last
    D  64x64x3 -> 32x32x128 -> 16x16x256 -> 8x8x512 -> 4x4x1024 -> 1    LeakyReLU .2, BN in all but the first layer

The channels are those at `base: 128`. Paper 002 leaves these open, and they follow Radford et al.: the widths (their
code has 128 channels in the first layer of D too; a narrower D spoils short fits), the initialisation, Adam 2e-4
(.5,.999), and separate BatchNorm passes for reals and fakes. Kernels are 4x4, or Radford's 5x5 with `kernel: 5`. Paper
004 has the width `base: 64`, the prior `normal` and a z of length 128; `dcgan-mutepfe` is exactly its network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from derm_bench.training.gan_plugin import PRIORS
from derm_bench.training.init import dcgan_init
from derm_bench_plugins.generators.dcgan_nets import Discriminator, Generator, stages_of
from derm_bench_plugins.generators.gan import Gan
from derm_bench_plugins.generators.regularised import regularised

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.dcgan import DcganOptions

__all__ = ["Dcgan", "Discriminator", "Generator"]


class Dcgan(Gan):
    """An unconditional DCGAN for images of side `task.size`, a power of two of at least 8."""

    options: DcganOptions

    def __init__(self, options: DcganOptions, task: Task) -> None:
        self.options, self.device = options, task.device
        stages = stages_of(task.size, "dcgan")
        d_base, kernel = options.d_base or options.base, options.kernel
        self.generator = Generator(options.z_dim, options.base, stages, kernel=kernel).to(task.device)
        self.discriminator = Discriminator(d_base, stages, options.head, kernel=kernel).to(task.device)
        dcgan_init(self.generator)
        dcgan_init(self.discriminator)
        regularised(self.discriminator, options)

    def prior(self, n: int, noise: torch.Generator) -> torch.Tensor:
        """Draw z, float32 [n,z_dim]."""
        return PRIORS[self.options.prior](n, self.options.z_dim, noise)
