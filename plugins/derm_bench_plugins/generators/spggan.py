"""SPGGAN (Abdelhalim et al. 2021): progressive growing (Karras et al. 2018) with self-attention (Zhang et al. 2019).

    G  z (512, N(0,1), normalised) -> 4x4 conv -> 3x3                     4x4x512       (Karras et al. 2018, table 2)
       each doubling: nearest-neighbour up -> 3x3 -> 3x3                  8, 16, 32: 512; 64: 256; 128: 128; 256: 64
       1x1 to RGB, linear; LeakyReLU .2 and pixel norm after every 3x3 and 4x4
    D  mirrors G: 1x1 from RGB -> 3x3 -> 3x3 -> mean of 2x2, ... -> minibatch deviation -> 3x3 -> 4x4 -> 1
    self-attention on the features of side 32: in G after its convolutions at that side, in D before them

All convolutions, including those of the attention, have an equalised learning rate. The loss is WGAN-GP (lambda 10)
with a drift term of 0.001, or hinge with the same two terms. Two time scales: Adam (0,.9) with 1e-4 for G and 4e-4 for
D, and one update of G per update of D. With equalised weights, whose initial scale is 1, these rates are a tenth of
those of Karras et al.; for a short budget, use `lr: 1e-3` and `lr_d: 4e-3`.

The growth depends only on the number of the update. During the first fraction `growth` of the budget, each resolution
below the last is trained for one phase and the next one is faded in for one phase; all phases are equally long (Karras
et al.: 800k images each). The rest of the budget trains at full size. While alpha increases from 0 to 1, G returns
(1 - alpha) up(RGB of the previous resolution) + alpha RGB. D uses (1 - alpha) times the features of the halved image
plus alpha times the features of the new block. Real images are blended in the same way. Resolution and alpha are
buffers of the networks, so that a restored state samples at the resolution at which it was trained. Images below the
full size are enlarged by nearest neighbour. The batch size is the same at all resolutions.

Choices where Abdelhalim et al. state nothing, as far as known: z has length 512; the attention is at 32 px (for images
of 64 px; their images have 256 px); samples come from a moving average of G's weights (decay 0.999, as in Karras et
al.).
"""

from __future__ import annotations

import copy
import functools
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.gan_plugin import NoiseGenerator, normal
from derm_bench.training.losses import ADVERSARIAL, between, gradient_penalty
from derm_bench.training.nets import EqualConv2d, EqualLinear, MinibatchStd, PixelNorm, SelfAttention
from derm_bench_plugins.generators.doublings import doublings

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Batch, Run
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.spggan import SpgganOptions

START = 4

linear_conv = functools.partial(EqualConv2d, gain=1.0)


class Spggan(NoiseGenerator):
    """An unconditional SPGGAN for images of side `task.size`, a power of two of at least 8."""

    def __init__(self, options: SpgganOptions, task: Task) -> None:
        self.options, self.device, self.size = options, task.device, task.size
        sides = [START * 2**k for k in range(doublings("spggan", task.size, START) + 1)]
        widths = [min(options.widest, max(1, options.base * 64 // side)) for side in sides]
        attend = sides.index(options.attention) if options.attention in sides else len(sides) - 1
        self.stages = len(sides) - 1
        self.trained = Generator(options.z_dim, widths, attend).to(task.device)
        self.discriminator = Discriminator(widths, attend).to(task.device)
        self.generator: nn.Module = copy.deepcopy(self.trained)

    def fit(self, train: ImageSet, run: Run) -> None:
        """Per batch, update D once, then G once, at the resolution of the schedule."""
        g, d, options = self.trained, self.discriminator, self.options
        engine = Engine(run, generator=g, discriminator=d)
        adam_g = engine.adam(g, options.lr, options.betas)
        adam_d = engine.adam(d, options.lr_d, options.betas)
        self.generator = engine.average(g, options.ema, warm_up=True).net
        noise, mix = engine.stream("z"), engine.stream("mix")
        discriminator_loss, generator_loss = ADVERSARIAL[options.loss]

        def before(number: int) -> dict[str, int]:
            stage, alpha = schedule(number, run.budget, self.stages, options.growth)
            for net in (g, d):
                net.stage.fill_(stage)
                net.alpha.fill_(alpha)
            return {"stage": stage}

        def step(batch: Batch, stage: int) -> dict[str, torch.Tensor]:
            reals = at_stage(batch.images, self.stages - stage, d.alpha if stage else None)
            with engine.autocast():
                fakes = g(self.prior(len(reals), noise), stage)
                real_scores, fake_scores = d(reals, stage), d(fakes.detach(), stage)
            points = between(reals, fakes, mix)
            penalty = gradient_penalty(d(points, stage), points)
            drift = real_scores.float().square().mean()
            loss_d = discriminator_loss(real_scores, fake_scores)
            minimise(loss_d + options.penalty * penalty + options.drift * drift, adam_d)

            with frozen(d), engine.autocast():
                scores = d(fakes, stage)
            loss_g = generator_loss(scores)
            minimise(loss_g, adam_g)

            outputs = {"score_real": real_scores, "score_fake": fake_scores}
            return {"loss_d": loss_d, "loss_g": loss_g, "penalty": penalty} | {
                name: values.detach().float().mean() for name, values in outputs.items()
            }

        engine.fit(
            step,
            train,
            options.batch_size,
            before=before,
            after=lambda b, _: run.snapshot(b.step, self.state),
        )

    def prior(self, n: int, noise: torch.Generator) -> torch.Tensor:
        """Draw z ~ N(0,1), float32 [n,z_dim]."""
        return normal(n, self.options.z_dim, noise)

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        stage = int(self.generator.get_buffer("stage"))
        images: torch.Tensor = self.generator(z, stage)
        return F.interpolate(images, (self.size, self.size), mode="nearest")

    @torch.inference_mode()
    def realness(self, images: torch.Tensor, label: int | None) -> torch.Tensor:
        """Return D's scores at the resolution that its training has reached, [n]."""
        d = self.discriminator.eval()
        stage = int(d.stage)
        scores: torch.Tensor = d(at_stage(images, self.stages - stage, d.alpha if stage else None), stage)
        return scores

    def parts(self) -> dict[str, nn.Module]:
        """Return the networks. `generator` is the moving average of the weights, from which samples are drawn."""
        return {"generator": self.generator, "discriminator": self.discriminator}


def schedule(number: int, budget: int, stages: int, growth: float) -> tuple[int, float]:
    """Return the stage (0: 4x4) and alpha in [0,1] of update `number`, counted from 1, of `budget`.

    `growth * budget` updates are divided into 2 * `stages` phases: 4x4; fade in 8x8; 8x8; ...; fade in the last.
    """
    phase_length = growth * budget / (2 * stages)
    if number - 1 >= growth * budget:
        return stages, 1.0
    position = (number - 1) / phase_length
    phase = int(position)
    return (phase + 1) // 2, position - phase if phase % 2 else 1.0


def at_stage(images: torch.Tensor, halvings: int, alpha: torch.Tensor | None) -> torch.Tensor:
    """Return images [N,3,S,S], halved `halvings` times by the mean of 2x2 pixels.

    While a resolution fades in (`alpha` given), they are blended with the image of half that resolution (Karras et al.
    2018, section 3).
    """
    images = F.avg_pool2d(images, 2**halvings)
    if alpha is None:
        return images
    return torch.lerp(up(F.avg_pool2d(images, 2)), images, alpha)


def up(x: torch.Tensor) -> torch.Tensor:
    """[N,C,H,W] -> [N,C,2H,2W], nearest neighbour."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


class Growing(nn.Module):
    """A network of blocks, one per resolution. `stage` is the index of the newest block, and `alpha` is its weight."""

    alpha: torch.Tensor
    stage: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("alpha", torch.ones(()))
        self.register_buffer("stage", torch.zeros((), dtype=torch.int64))

    def blend(self, old: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        """Return (1 - alpha) old + alpha new, which is bitwise `old` at alpha 0 and `new` at alpha 1."""
        return torch.lerp(old, new, self.alpha.to(new.dtype))


class Generator(Growing):
    """z [N,z_dim] -> images [N,3,4*2^stage,4*2^stage], about in [-1,1] but unbounded.

    `widths` are the channels at sides 4, 8, ...; `attend` is the stage whose features have self-attention.
    """

    def __init__(self, z_dim: int, widths: list[int], attend: int) -> None:
        super().__init__()
        self.norm = PixelNorm()
        # Padded so that a 1x1 map becomes 4x4. Each pixel uses one tap of 16, so the gain is a quarter of the usual.
        start = nn.Sequential(
            *_conv(z_dim, widths[0], 4, padding=3), *_conv(widths[0], widths[0], 3, padding=1)
        )
        self.blocks = nn.ModuleList([start])
        for before, width in pairwise(widths):
            self.blocks.append(
                nn.Sequential(*_conv(before, width, 3, padding=1), *_conv(width, width, 3, padding=1))
            )
        self.blocks[attend].append(SelfAttention(widths[attend], linear_conv))  # type: ignore[operator]
        self.to_rgb = nn.ModuleList(linear_conv(width, 3, 1) for width in widths)

    def forward(self, z: torch.Tensor, stage: int) -> torch.Tensor:
        x = self.blocks[0](self.norm(z)[:, :, None, None])
        if stage == 0:
            rgb: torch.Tensor = self.to_rgb[0](x)
            return rgb
        for k in range(1, stage):
            x = self.blocks[k](up(x))
        new = self.to_rgb[stage](self.blocks[stage](up(x)))
        return self.blend(up(self.to_rgb[stage - 1](x)), new)


class Discriminator(Growing):
    """Images [N,3,4*2^stage,4*2^stage] -> scores [N]. `widths` and `attend` are those of G."""

    def __init__(self, widths: list[int], attend: int) -> None:
        super().__init__()
        act = nn.LeakyReLU(0.2)
        first = widths[0]
        self.from_rgb = nn.ModuleList(nn.Sequential(EqualConv2d(3, width, 1), act) for width in widths)
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(
                    MinibatchStd(),
                    EqualConv2d(first + 1, first, 3, padding=1),
                    act,
                    EqualConv2d(first, first, 4),
                    act,
                    nn.Flatten(),
                    EqualLinear(first, 1, gain=1.0),
                )
            ]
        )
        for below, width in pairwise(widths):
            convs = [
                EqualConv2d(width, width, 3, padding=1),
                act,
                EqualConv2d(width, below, 3, padding=1),
                act,
            ]
            self.blocks.append(nn.Sequential(*convs, nn.AvgPool2d(2)))
        self.blocks[attend].insert(0, SelfAttention(widths[attend], linear_conv))  # type: ignore[operator]

    def forward(self, images: torch.Tensor, stage: int) -> torch.Tensor:
        x = self.from_rgb[stage](images)
        if stage:
            x = self.blend(self.from_rgb[stage - 1](F.avg_pool2d(images, 2)), self.blocks[stage](x))
        for k in reversed(range(max(stage, 1))):
            x = self.blocks[k](x)
        return torch.squeeze(x, 1)


def _conv(channels: int, out: int, kernel: int, padding: int) -> list[nn.Module]:
    return [EqualConv2d(channels, out, kernel, padding=padding), nn.LeakyReLU(0.2), PixelNorm()]
