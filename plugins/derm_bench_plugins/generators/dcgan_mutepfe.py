"""The DCGAN of Mutepfe et al. (paper 004, figures 9 and 10): z 128 normal, 64 px, BCE, batch 128.

    G  z -> linear 4x4x512 -> 8x8x256 -> 16x16x128 -> 32x32x64 -> 64x64x3   5x5 kernels, BN + ReLU, tanh last
    D  64x64x3 -> 32x32x64 -> 16x16x128 -> 8x8x256 -> 4x4x512 -> 1          5x5 kernels, LeakyReLU .2, BN

The paper uses the part `discriminator` as its classifier: `features` are its flattened 4x4x512 maps, and `logit` is the
layer that a classifier replaces.

Choices. Adam 2e-4 with beta1 .5: the abstract says .5; the text says .2, which is the slope of LeakyReLU. The batch
size is 128, the best in the paper's table 2, although the text also mentions 64. Each update of D is followed by one of
G (the paper's k = 1). The "three dense layers" of D contradict the list of convolutions, which is followed here. The
first layer of D has no BatchNorm, and weights are initialised from N(0,.02), as in Radford et al. 2016, on which the
text is based. `optimizer: sgd` is that of table 4, which states no momentum: the first of `betas` is taken.

The paper's bilateral filter and gamma correction are options of the data set: `preprocess: [bilateral, {gamma: 1.5}]`,
which runs before images are resized to 64 px, as in the paper.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from derm_bench.training.init import dcgan_init
from derm_bench_plugins.generators.dcgan_nets import Discriminator, Generator, stages_of
from derm_bench_plugins.generators.gan import Gan, Optimizers
from derm_bench_plugins.generators.regularised import regularised

if TYPE_CHECKING:
    from torch import nn

    from derm_bench.specs import Task
    from derm_bench.training.engine import Engine
    from derm_bench_plugins.generators.specs.dcgan_mutepfe import MutepfeOptions

KERNEL = 5


class DcganMutepfe(Gan):
    """An unconditional DCGAN with 5x5 kernels for images of side `task.size`, a power of two of at least 8."""

    options: MutepfeOptions

    def __init__(self, options: MutepfeOptions, task: Task) -> None:
        self.options, self.device = options, task.device
        stages = stages_of(task.size, "dcgan-mutepfe")
        generator = Generator(options.z_dim, options.base, stages, kernel=KERNEL, linear=True)
        self.generator = generator.to(task.device)
        self.discriminator = Discriminator(options.d_base or options.base, stages, kernel=KERNEL).to(
            task.device
        )
        dcgan_init(self.generator)
        dcgan_init(self.discriminator)
        regularised(self.discriminator, options)

    def optimizers(self, engine: Engine) -> Optimizers:
        """Return Adam, or SGD with momentum, for G and for D."""
        options = self.options
        if options.optimizer == "adam":
            return super().optimizers(engine)

        def sgd(net: nn.Module, lr: float) -> torch.optim.Optimizer:
            return torch.optim.SGD(net.parameters(), lr=lr, momentum=options.betas[0], fused=True)

        made = Optimizers(
            sgd(self.generator, options.lr), sgd(self.discriminator, options.lr_d or options.lr)
        )
        engine.keep("sgd generator", made.generator)
        engine.keep("sgd discriminator", made.discriminator)
        return made
