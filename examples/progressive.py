"""A progressive schedule: a GAN learns images of 8x8 pixels first, then of twice the side, and so on.

In a matrix: generator: {name: progressive}, with `--plugin examples/progressive.py` on the command line.
"""

from small_gan import LOGGED, PRESETS, SmallGan, SmallOptions
from small_nets import Z
from torch import nn
from torch.nn import functional as F

from derm_bench import api

DERM_BENCH_API = 1
WIDTH, FIRST = 64, 8  # channels, and the side of the first images: level 0


@api.hookimpl
def derm_bench_generators() -> list[api.GeneratorSpec]:
    return [api.GeneratorSpec(name="progressive", summary="a GAN that grows", create="progressive:Progressive",
                              options=SmallOptions, presets=PRESETS, discriminator_outputs=LOGGED)]  # fmt: skip


class Growing(nn.Module):  # one block, and one convolution from or to pixels, per level
    def __init__(self, levels: int, widths: tuple[int, int], inner: nn.Linear) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(levels))
        self.pixels, self.inner = nn.ModuleList(nn.Conv2d(*widths, 1) for _ in range(levels)), inner


class Up(Growing):
    def forward(self, z, level):
        x = self.inner(z).unflatten(1, (WIDTH, FIRST, FIRST))
        for k, block in enumerate(self.blocks[: level + 1]):
            x = F.leaky_relu(api.PixelNorm()(block(F.interpolate(x, scale_factor=2) if k else x)), 0.2)
        return self.pixels[level](x).tanh()


class Down(Growing):
    def forward(self, images, level):
        x = self.pixels[level](F.adaptive_avg_pool2d(images, FIRST << level))
        for block in reversed(self.blocks[1 : level + 1]):
            x = F.avg_pool2d(F.leaky_relu(block(x), 0.2), 2)
        return self.inner(F.leaky_relu(self.blocks[0](x), 0.2).flatten(1))


class Progressive(SmallGan):
    def __init__(self, options: SmallOptions, task: api.Task) -> None:
        self.options, self.task, self.device = options, task, task.device
        self.levels, pixels = max(1, (task.size // FIRST).bit_length()), WIDTH * FIRST**2
        self.g = Up(self.levels, (WIDTH, 3), nn.Linear(Z, pixels)).to(task.device)
        self.d = Down(self.levels, (3, WIDTH), nn.Linear(pixels, 1)).to(task.device)

    def fit(self, train: api.ImageSet, run: api.Run) -> None:
        engine = api.Engine(run, generator=self.g, discriminator=self.d)
        # The level is computed from the update alone, so that a resumed fit goes on in the same way.
        levels, budget = self.levels, run.budget
        engine.fit(self.gan_step(engine), train, before=lambda step: {"level": (step - 1) * levels // budget})

    def render(self, z, label):
        return F.interpolate(self.g(z, self.levels - 1), self.task.size)
