"""IAGAN (Motamed, Rogalla and Khalvati 2021; a baseline of paper 000): G generates an image from a real image and
noise.

    encoder  SxSx3 -> S/2 x base -> inception, attention at 16x16, stride 2, ... -> 4x4 x code
    z        -> dense -> 4x4 x code, concatenated -> 4x4 x 2 code
    decoder  -> upsampled, residual inception, attention at 16x16, ... -> SxSx3, tanh
    D        SxSx3 -> stride-2 convolutions, attention at 16x16 -> 4x4 -> 1

Inception blocks are GoogLeNet's: 1x1, 3x3, 5x5 and 3x3 max pooling in parallel, a quarter of the channels each. The
paper's text was not available; the following are choices: the widths, BatchNorm (also on both 4x4 maps, since otherwise
z has little effect compared with the image), LeakyReLU .2 on the way down and ReLU on the way up, nearest-neighbour
upsampling, and the initialisation (DCGAN's). The loss is non-saturating BCE, with Adam 2e-4 (.5,.999). G gets the
images of D's batch in another order. Samples of a class start from each of its real images with `z_per_image` noise
vectors, in an order that the fit determines. Only the narrow 4x4 code keeps G from copying its image; nothing in the
loss does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from derm_bench.images import Samples
from derm_bench.training.gan_plugin import CHUNK, normal, to_bytes
from derm_bench.training.init import dcgan_init, start_statistics
from derm_bench.training.nets import SelfAttention
from derm_bench.training.seeding import stream
from derm_bench_plugins.generators.doublings import doublings
from derm_bench_plugins.generators.draw_order import DrawOrder
from derm_bench_plugins.generators.gan import Gan
from derm_bench_plugins.generators.regularised import regularised

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Batch, Run
    from derm_bench.specs import SampleRequest, Task
    from derm_bench.training.engine import Engine
    from derm_bench_plugins.generators.gan import Optimizers
    from derm_bench_plugins.generators.specs.iagan import IaganOptions

ATTENDED = 16  # side of the maps with self-attention; half the side of the image if that is smaller


class Iagan(Gan):
    """One model per class for images of side `task.size`, a power of two of at least 8.

    The `targets` of `Gan` are here the images that G gets.
    """

    options: IaganOptions

    def __init__(self, options: IaganOptions, task: Task) -> None:
        self.options, self.device = options, task.device
        stages = doublings("iagan", task.size, 4)
        self.generator = Generator(options, stages).to(task.device)
        self.discriminator = Discriminator(options.d_base or options.base, stages).to(task.device)
        self.order = DrawOrder()
        dcgan_init(self.generator)
        dcgan_init(self.discriminator)
        regularised(self.discriminator, options)

    def fit(self, train: ImageSet, run: Run) -> None:
        """Per batch, update D once, then G once."""
        self.order.fix(run.seed)
        self._first = self.scaled(train.images[torch.arange(self.options.batch_size) % len(train)])
        super().fit(train, run)

    def start(self, z: torch.Tensor) -> None:
        start_statistics(self.generator, self._first, z)

    def train_step(
        self,
        engine: Engine,
        optimizers: Optimizers,
        batch: Batch,
        z: torch.Tensor,
        *,
        update_g: bool = True,
    ) -> dict[str, torch.Tensor]:
        others = replace(batch, targets=batch.images.roll(1, dims=0))
        return super().train_step(engine, optimizers, others, z, update_g=update_g)

    def inputs(self, z: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return targets, z

    def conditions(self, train: ImageSet, n: int, draws: torch.Generator) -> torch.Tensor:
        rows = torch.randint(len(train), (n,), generator=draws, device=draws.device)
        return self.scaled(train.images[rows.to(train.images.device)])

    @torch.inference_mode()
    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """Return `z_per_image` consecutive samples per real image of the class. The source ids are these images."""
        if train is None:
            raise ValueError("iagan needs training images to sample from, but got none")
        self.generator.eval()
        rows = self.sources(request, train)
        z = normal(request.n, self.options.z_dim, stream(request.seed, "sample"))
        chunks = [
            self.generate(noise.to(self.device), self.scaled(train.images[some]))
            for some, noise in zip(rows.split(CHUNK), z.split(CHUNK), strict=True)
        ]
        return Samples(to_bytes(torch.cat(chunks)), [train.ids[i] for i in rows.tolist()])

    def sources(self, request: SampleRequest, train: ImageSet) -> torch.Tensor:
        """Return the real image of each sample, int64 [request.n], as rows of `train`."""
        place = torch.arange(request.start, request.start + request.n) // self.options.z_per_image
        first, last = int(place[0]), int(place[-1])
        images = self.order.of_class(train, replace(request, start=first, n=last - first + 1))
        return images[place - first]

    def scaled(self, images: torch.Tensor) -> torch.Tensor:
        """Return uint8 images as float32 in [-1,1], on the device."""
        return images.to(self.device).float().div(127.5).sub(1)

    def parts(self) -> dict[str, nn.Module]:
        return super().parts() | {"order": self.order}


class Generator(nn.Module):
    """Images [N,3,S,S] in [-1,1] and z [N,z_dim] -> images [N,3,S,S] in [-1,1], S = 4 * 2^stages."""

    def __init__(self, options: IaganOptions, stages: int) -> None:
        super().__init__()
        widths = [options.base * 2**k for k in range(stages)]
        self.code = options.code
        self.encode = Encoder(widths, options.code)
        self.project = nn.Sequential(
            nn.Linear(options.z_dim, options.code * 16, bias=False),
            nn.BatchNorm1d(options.code * 16),
            nn.ReLU(),
        )
        self.decode = Decoder(2 * options.code, widths[::-1])

    def forward(self, images: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        of_image = self.encode(images)
        of_noise = self.project(z).unflatten(1, (self.code, 4, 4))
        made: torch.Tensor = self.decode(torch.cat([of_image, of_noise], dim=1))
        return made


class Encoder(nn.Module):
    """Images -> the map [N,code,4,4]. `widths` are the channels at sides S/2, S/4, ..., 4."""

    def __init__(self, widths: list[int], code: int) -> None:
        super().__init__()
        side = 4 * 2 ** (len(widths) - 1)
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, stride=2, padding=1), leaky()]
        for k, (channels, out) in enumerate(pairwise(widths)):
            layers += [Inception(channels, out, leaky), *attention(out, side >> k, side), *halved(out, out)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], code, 1, bias=False), nn.BatchNorm2d(code))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        code: torch.Tensor = self.layers(images)
        return code


class Decoder(nn.Module):
    """A map [N,channels,4,4] -> images. `widths` are the channels at sides 4, 8, ..., S/2."""

    def __init__(self, channels: int, widths: list[int]) -> None:
        super().__init__()
        side = 4 * 2 ** (len(widths) - 1)
        layers: list[nn.Module] = [ResidualInception(channels, widths[0])]
        for k, (inner, out) in enumerate(pairwise(widths)):
            layers += [doubled(), ResidualInception(inner, out), *attention(out, 8 << k, side)]
        self.layers = nn.Sequential(*layers, doubled(), nn.Conv2d(widths[-1], 3, 3, padding=1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layers(maps))


class Discriminator(nn.Module):
    """Images [N,3,4*2^stages,4*2^stages] -> logits [N]."""

    def __init__(self, base: int, stages: int) -> None:
        super().__init__()
        widths = [base * 2**k for k in range(stages)]
        side = 2 * 2**stages
        layers: list[nn.Module] = [nn.Conv2d(3, base, 4, stride=2, padding=1), leaky()]
        layers += attention(base, side, side)
        for k, (channels, out) in enumerate(pairwise(widths), start=1):
            layers += [*halved(channels, out), *attention(out, side >> k, side)]
        self.down = nn.Sequential(*layers)
        self.logit = nn.Linear(widths[-1] * 16, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.squeeze(self.logit(self.down(images).flatten(1)), 1)


class Inception(nn.Module):
    """[N,channels,H,W] -> [N,out,H,W]: four branches of out/4 channels each.

    1x1 convolutions precede the larger ones and follow the pooling (Szegedy et al. 2015, figure 2b). BatchNorm and the
    activation follow every convolution.
    """

    def __init__(self, channels: int, out: int, activation: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        quarter = out // 4

        def conv(inputs: int, kernel: int) -> list[nn.Module]:
            layer = nn.Conv2d(inputs, quarter, kernel, padding=kernel // 2, bias=False)
            return [layer, nn.BatchNorm2d(quarter), activation()]

        self.branches = nn.ModuleList(
            [
                nn.Sequential(*conv(channels, 1)),
                nn.Sequential(*conv(channels, 1), *conv(quarter, 3)),
                nn.Sequential(*conv(channels, 1), *conv(quarter, 5)),
                nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), *conv(channels, 1)),
            ]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class ResidualInception(nn.Module):
    """The sum of an inception block and a 1x1 convolution."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.inception, self.skip = Inception(channels, out), nn.Conv2d(channels, out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        summed: torch.Tensor = self.inception(x) + self.skip(x)
        return summed


def leaky() -> nn.Module:
    return nn.LeakyReLU(0.2)


def halved(channels: int, out: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, out, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(out), leaky()]


def doubled() -> nn.Module:
    return nn.Upsample(scale_factor=2, mode="nearest")


def attention(channels: int, side: int, largest: int) -> list[nn.Module]:
    """Return self-attention if maps of this `side` have it, else nothing. `largest` is the largest side of the maps."""
    return [SelfAttention(channels)] if side == min(ATTENDED, largest) else []
