"""A small DCGAN that the examples beside this file start from: its options, one step of training, and samples."""

import torch
from pydantic import Field
from small_nets import Z, generator, reader

from derm_bench import api

PRESETS = {"tiny": {"batch_size": 4, "budget": {"updates": 4}}, "smoke": {"budget": {"updates": 10}}}
LOGGED = ("d_real", "d_fake")


class SmallOptions(api.GeneratorOptions):
    batch_size: int = Field(default=32, ge=2, description="images per update")
    lr: float = Field(default=5e-4, gt=0, description="learning rate of Adam for both networks")


class SmallGan(api.NoiseGenerator):  # a subclass defines `fit`
    def __init__(self, options, task: api.Task) -> None:
        self.options, self.task, self.device = options, task, task.device
        self.g, self.d = (net.to(task.device) for net in (generator(task.size), reader(task.size)))

    def gan_step(
        self, engine: api.Engine, g=None, d=None
    ):  # updates D, then G; its keywords go to both networks
        g, d, noise = g or self.g, d or self.d, engine.stream("z")
        adam_g, adam_d = (engine.adam(net, self.options.lr, (0.5, 0.999)) for net in (self.g, self.d))

        def step(batch: api.Batch, **how):
            fake = g(self.prior(len(batch.images), noise), **how)
            real, faked = d(batch.images, **how), d(fake.detach(), **how)
            api.minimise(api.discriminator_loss(real, faked), adam_d)
            with api.frozen(self.d):
                api.minimise(api.generator_loss(d(fake, **how)), adam_g)
            return {"d_real": real.sigmoid().mean(), "d_fake": faked.sigmoid().mean()}

        return step

    def prior(self, n, noise):
        return torch.randn(n, Z, generator=noise, device=noise.device)

    def render(self, z, label):
        return self.g(z)

    def parts(self):
        return {"generator": self.g, "discriminator": self.d}
