"""LAPGAN (Denton et al. 2015): a GAN of 8x8 images, and one GAN per doubling of the side that adds the details.

    x_k is the image at side 8 * 2^k, coarse_k = up(x_(k-1)), detail_k = x_k - coarse_k       (eq. 3 and 4)
    base   G  z (100, U(-1,1)) -> 1200 -> 1200 -> 8x8x3    ReLU, tanh last
           D  8x8x3 -> 600 -> 600 -> 1                      ReLU, dropout .5 after each
    level  G  coarse (3) + noise plane U(-1,1) -> 7x7 64 -> 7x7 64 -> 5x5 3                ReLU, linear last
           D  coarse + detail (3) -> 5x5 64 -> 5x5 64 stride 2 -> dropout .5 -> 1           ReLU

Each level has separate losses, networks and noise, and gets the real coarse image during training: the levels are
trained independently, as in the paper. They share no parameters, so that one Adam on the sum of their losses takes the
same steps as one Adam per level. An update trains all levels on the pyramid of one real batch; the budget counts it
once. Sampling chains the levels: x_k = up(x_(k-1)) + G_k(up(x_(k-1)), noise).

The pyramid is class-conditional if the fit covers several classes (`scope: pooled`, or groups). At each level, a linear
layer and ReLU map the one-hot label to an additional plane of the input of G and D; at the base, the label is appended
to z and to the 8x8 image. With one class per fit, the default scope, labels are not used.

The following are choices where the paper states nothing or its code differs. Down is the mean of 2x2 pixels and up is
bilinear (the reconstruction is exact for any such pair). Each update of D uses both a real and a fake batch.
Convolutions are padded to keep the side. Adam 2e-4 (.5,.999) replaces SGD from 0.02. Weights are initialised as in He
et al. 2015, because otherwise the base ignores z for a long time. The G of the levels has torch's default, uniform in
+-1/sqrt(fan in), so that details are small at the start. `d_real` and `d_fake` are means over the levels.

The preset `melanogan` is the LAPGAN that Baur et al. 2018 train at 256 px: the same pyramid with two more levels. Their
further changes to the layers are not reproduced.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.gan_plugin import NoiseGenerator, one_hot_of, uniform
from derm_bench.training.init import he_init
from derm_bench.training.losses import discriminator_loss, generator_loss
from derm_bench_plugins.generators.doublings import doublings

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Batch, Run
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.lapgan import LapganOptions

START = 8


class Lapgan(NoiseGenerator):
    """A Laplacian pyramid of GANs for images of side `task.size`, a power of two of at least 8."""

    # During a fit with `ema`, the moving average of `generator`, which snapshots contain.
    averaged: Generator | None = None

    def __init__(self, options: LapganOptions, task: Task) -> None:
        self.options, self.device = options, task.device
        self.sides = [START * 2**k for k in range(doublings("lapgan", task.size, START) + 1)]
        self.labels = len(task.classes) if len(task.classes) > 1 else 0
        self.generator = Generator(options, self.sides, self.labels).to(task.device)
        self.discriminator = Discriminator(options, self.sides, self.labels).to(task.device)
        he_init(self.generator.base)
        he_init(self.discriminator)

    def fit(self, train: ImageSet, run: Run) -> None:
        """Per batch, update the D of every level once, then the G of every level once."""
        g, d = self.generator, self.discriminator
        engine = Engine(run, generator=g, discriminator=d)
        adam_g = engine.adam(g, self.options.lr, self.options.betas)
        adam_d = engine.adam(d, self.options.lr_d or self.options.lr, self.options.betas)
        noise = engine.stream("z")
        if self.options.ema:
            self.averaged = engine.average(g, self.options.ema, warm_up=True).net  # type: ignore[assignment]

        def step(batch: Batch) -> dict[str, torch.Tensor]:
            reals = pyramid(batch.images, len(self.sides))
            with engine.autocast():
                fakes = g.by_level(self.prior(len(batch.images), noise), reals, batch.targets)
                real = d(reals, batch.targets)
                fake = d([image.detach() for image in fakes], batch.targets)
            losses_d = [discriminator_loss(*pair) for pair in zip(real, fake, strict=True)]
            minimise(torch.stack(losses_d).sum(), adam_d)

            with frozen(d), engine.autocast():
                logits = d(fakes, batch.targets)
            losses_g = [generator_loss(level) for level in logits]
            minimise(torch.stack(losses_g).sum(), adam_g)

            logs = {f"loss_d_{side}": loss for side, loss in zip(self.sides, losses_d, strict=True)}
            logs |= {f"loss_g_{side}": loss for side, loss in zip(self.sides, losses_g, strict=True)}
            outputs = {"d_real": real, "d_fake": fake}
            return logs | {
                name: torch.stack(levels).detach().float().sigmoid().mean()
                for name, levels in outputs.items()
            }

        engine.fit(step, train, self.options.batch_size, after=lambda b, _: run.snapshot(b.step, self.state))
        if self.averaged is not None:
            g.load_state_dict(self.averaged.state_dict())
            self.averaged = None

    def prior(self, n: int, noise: torch.Generator) -> torch.Tensor:
        """Draw z of the base and the noise planes of all levels, concatenated: float32 [n, z_dim + sum side^2]."""
        return uniform(n, sum(self.generator.lengths), noise)

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        targets = one_hot_of(label, len(z), self.labels, z.device) if self.labels else None
        images: torch.Tensor = self.generator(z, targets)
        return images

    @torch.inference_mode()
    def realness(self, images: torch.Tensor, label: int | None) -> torch.Tensor:
        """Return the sum of the logits of all levels for each image, [n]."""
        self.discriminator.eval()
        targets = one_hot_of(label if self.labels else 0, len(images), max(1, self.labels), images.device)
        levels = self.discriminator(pyramid(images, len(self.sides)), targets)
        return torch.stack(levels).sum(dim=0)

    def parts(self) -> dict[str, nn.Module]:
        generator = self.generator if self.averaged is None else self.averaged
        return {"generator": generator, "discriminator": self.discriminator}


# ----------------------------------------------------------------------------------------- pyramid


def down(images: torch.Tensor) -> torch.Tensor:
    """[N,3,S,S] -> [N,3,S/2,S/2], the mean of 2x2 pixels."""
    return F.avg_pool2d(images, 2)


def up(images: torch.Tensor) -> torch.Tensor:
    """[N,3,S,S] -> [N,3,2S,2S], bilinear."""
    return F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)


def pyramid(images: torch.Tensor, levels: int) -> list[torch.Tensor]:
    """Return images [N,3,S,S] at the sides S / 2^(levels-1), ..., S / 2, S."""
    sides = [images]
    for _ in range(levels - 1):
        sides.append(down(sides[-1]))
    return sides[::-1]


def details(sides: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the difference of each image of a pyramid from the enlarged image of the level before (eq. 3)."""
    return [fine - up(coarse) for coarse, fine in pairwise(sides)]


def rebuilt(base: torch.Tensor, differences: list[torch.Tensor]) -> torch.Tensor:
    """Return the image reconstructed from a base [N,3,8,8] and its details, coarse to fine (eq. 4)."""
    image = base
    for difference in differences:
        image = up(image) + difference
    return image


# ---------------------------------------------------------------------------------------- networks


class Generator(nn.Module):
    """The generators of all levels. `lengths` holds the length of z and of each level's flattened noise plane."""

    def __init__(self, options: LapganOptions, sides: list[int], labels: int) -> None:
        super().__init__()
        self.lengths = [options.z_dim, *(side**2 for side in sides[1:])]
        self.base = BaseGenerator(options.z_dim, options.hidden, labels)
        self.levels = nn.ModuleList(LevelGenerator(options.base, side, labels) for side in sides[1:])

    def forward(self, noise: torch.Tensor, targets: torch.Tensor | None) -> torch.Tensor:
        """Noise [N, sum of lengths] and one-hot targets [N,K] -> images [N,3,S,S].

        Each level refines the image of the level before.
        """
        z, *planes = noise.split(self.lengths, dim=1)
        image: torch.Tensor = self.base(z, targets)
        for level, plane in zip(self.levels, planes, strict=True):
            coarse = up(image)
            image = coarse + level(coarse, plane, targets)
        return image

    def by_level(
        self, noise: torch.Tensor, reals: list[torch.Tensor], targets: torch.Tensor
    ) -> list[torch.Tensor]:
        """Return one image per level, each generated from the real image of the level below."""
        z, *planes = noise.split(self.lengths, dim=1)
        fakes: list[torch.Tensor] = [self.base(z, targets)]
        for level, plane, below in zip(self.levels, planes, reals, strict=False):
            coarse = up(below)
            fakes.append(coarse + level(coarse, plane, targets))
        return fakes


class Discriminator(nn.Module):
    """The discriminators of all levels: images of a pyramid, coarse to fine -> logits [N] per level."""

    def __init__(self, options: LapganOptions, sides: list[int], labels: int) -> None:
        super().__init__()
        self.base = BaseDiscriminator(options.hidden // 2, labels, options.dropout)
        self.levels = nn.ModuleList(
            LevelDiscriminator(options.d_base or options.base, side, labels, options.dropout)
            for side in sides[1:]
        )

    def forward(self, images: list[torch.Tensor], targets: torch.Tensor) -> list[torch.Tensor]:
        levels = [self.base, *self.levels]
        return [level(image, targets) for level, image in zip(levels, images, strict=True)]


class BaseGenerator(nn.Module):
    """z [N,z_dim] (and targets [N,K]) -> images [N,3,8,8] in [-1,1]."""

    def __init__(self, z_dim: int, hidden: int, labels: int) -> None:
        super().__init__()
        self.labels = labels
        self.net = nn.Sequential(
            nn.Linear(z_dim + labels, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, 3 * START**2),
            nn.Tanh(),
            nn.Unflatten(1, (3, START, START)),
        )

    def forward(self, z: torch.Tensor, targets: torch.Tensor | None) -> torch.Tensor:
        images: torch.Tensor = self.net(_with_labels(z, targets, self.labels))
        return images


class BaseDiscriminator(nn.Module):
    """Images [N,3,8,8] (and targets [N,K]) -> logits [N]."""

    def __init__(self, hidden: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.labels = labels
        self.net = nn.Sequential(
            nn.Linear(3 * START**2 + labels, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )

    def forward(self, images: torch.Tensor, targets: torch.Tensor | None) -> torch.Tensor:
        return torch.squeeze(self.net(_with_labels(images.flatten(1), targets, self.labels)), 1)


class LevelGenerator(nn.Module):
    """Coarse images [N,3,S,S], noise [N,S*S] (and targets [N,K]) -> details [N,3,S,S], unbounded."""

    def __init__(self, width: int, side: int, labels: int) -> None:
        super().__init__()
        self.side = side
        self.label_plane = LabelPlane(labels, side) if labels else None
        self.net = nn.Sequential(
            nn.Conv2d(4 + bool(labels), width, 7, padding=3),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 7, padding=3),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 3, 5, padding=2),
        )

    def forward(
        self, coarse: torch.Tensor, noise: torch.Tensor, targets: torch.Tensor | None
    ) -> torch.Tensor:
        planes = [coarse, noise.unflatten(1, (1, self.side, self.side))]
        if self.label_plane is not None:
            planes.append(self.label_plane(targets))
        difference: torch.Tensor = self.net(torch.cat(planes, dim=1))
        return difference


class LevelDiscriminator(nn.Module):
    """Images [N,3,S,S], sums of coarse image and detail (and targets [N,K]) -> logits [N]."""

    def __init__(self, width: int, side: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.label_plane = LabelPlane(labels, side) if labels else None
        self.net = nn.Sequential(
            nn.Conv2d(3 + bool(labels), width, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 5, stride=2, padding=2),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(width * (side // 2) ** 2, 1),
        )

    def forward(self, images: torch.Tensor, targets: torch.Tensor | None) -> torch.Tensor:
        if self.label_plane is not None:
            images = torch.cat([images, self.label_plane(targets)], dim=1)
        return torch.squeeze(self.net(images), 1)


class LabelPlane(nn.Module):
    """Targets [N,K] -> a plane [N,1,S,S], by a linear layer and ReLU."""

    def __init__(self, labels: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.linear = nn.Linear(labels, side**2)

    def forward(self, targets: torch.Tensor) -> torch.Tensor:
        plane: torch.Tensor = F.relu(self.linear(targets))
        return plane.reshape(len(plane), 1, self.side, self.side)


def _with_labels(rows: torch.Tensor, targets: torch.Tensor | None, labels: int) -> torch.Tensor:
    """Return rows [N,D] with the targets appended if the networks use labels."""
    return torch.cat([rows, targets], dim=1) if labels and targets is not None else rows
