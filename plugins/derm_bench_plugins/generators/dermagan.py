"""DermaGAN (paper 003, section C and figure 3): z 512 normal, 64 px, BCE, batch 64, Adam 2e-4 (.5,.999).

    G  z 512x1x1 -> 4x4x512 -> 8x8x256 -> 16x16x128 -> 32x32x64 -> 64x64x3   4x4 kernels, BN + ReLU, tanh last
    D  64x64x3 -> 32x32x64 -> 16x16x128 -> 8x8x256 -> 4x4x512 -> 1           4x4 kernels, LeakyReLU .2, BN, sigmoid

No layer has a bias: 6,949,888 weights in G's convolutions and 2,763,776 in D's.

Choices. The paper counts "five main layers", then an input layer, four hidden ones and an output layer: five transposed
convolutions lead from 1x1 to 64x64, and five convolutions lead back. BatchNorm follows the hidden layers of D, as the
text says, but not its first layer. The paper states Adam's settings for D; they are used for G too. z ~ N(0,1). The
last layer of D, a 4x4 convolution of a 4x4 map, is implemented as the equivalent linear layer. The initialisation is
Radford's. The loss takes logits, which combines the sigmoid and binary cross entropy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench.training.init import dcgan_init
from derm_bench_plugins.generators.dcgan_nets import Discriminator, Generator, stages_of
from derm_bench_plugins.generators.gan import Gan
from derm_bench_plugins.generators.regularised import regularised

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.dermagan import DermaganOptions


class DermaGan(Gan):
    """An unconditional DCGAN without biases for images of side `task.size`, a power of two of at least 8."""

    def __init__(self, options: DermaganOptions, task: Task) -> None:
        self.options, self.device = options, task.device
        stages = stages_of(task.size, "dermagan")
        self.generator = Generator(options.z_dim, options.base, stages, bias=False).to(task.device)
        self.discriminator = Discriminator(options.d_base or options.base, stages, bias=False).to(task.device)
        dcgan_init(self.generator)
        dcgan_init(self.discriminator)
        regularised(self.discriminator, options)
