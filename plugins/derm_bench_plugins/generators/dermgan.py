"""DermGAN (Ghorbani et al. 2020): pix2pix (Isola et al. 2017) from a map of a lesion's skin tone, position and class.

    map  RGB image: the mean colour of the skin, in which the lesion's bounding box has the colour of its class
    G    U-Net: 4x4 stride-2 convolutions down to 1x1, widths base * 1, 2, 4, 8, 8, ...; up again by resize-convolutions
         (nearest-neighbour, then 3x3), skips, dropout .5 in the three innermost layers, tanh
    D    PatchGAN on map and image: stride-2 layers base * 1, 2, 4, then two of stride 1; 70x70 patches at 256 px
    L_G  BCE + 100 L1 + 10 L1 over the lesion + 10 feature matching          L_D  BCE / 2

The paper's text was not available. Other texts describe the method as pix2pix with resize-convolutions instead of
transposed convolutions, an L1 loss over the lesion, feature matching, maps that encode tone, bounding box and class as
colours, and synthesis that varies size, position and tone. The following are choices. The tone is the mean colour
outside the lesion. The colours of the classes are evenly spaced hues starting at blue, which does not occur in skin.
Of the two added losses, whose weights are choices too, L1 over the lesion is the mean over its pixels, and feature
matching is the L1 distance of D's hidden layers, averaged over the layers. InstanceNorm with scale and shift is used,
to which pix2pix's BatchNorm reduces at its batch size of 1. Below 256 px, patches are a quarter of the side. As in
pix2pix, the noise is dropout, also during synthesis.

Masks come from the data set if it has them, and otherwise from Otsu's threshold. A sample combines the lesion's region
of one real image, rescaled and shifted, with the skin tone of another image of the same class.
"""

from __future__ import annotations

import colorsys
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.errors import UserError
from derm_bench.images import Samples
from derm_bench.training.augment import identity, uniform
from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.gan_plugin import CHUNK, one_hot_of, to_bytes
from derm_bench.training.init import dcgan_init
from derm_bench.training.losses import discriminator_loss, generator_loss
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench.training.seeding import stream
from derm_bench_plugins.generators.draw_order import DrawOrder
from derm_bench_plugins.generators.masks import boxes, lesion_masks, skin_tones

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Batch, Run
    from derm_bench.specs import SampleRequest, Task
    from derm_bench_plugins.generators.specs.dermgan import DermganOptions

PATCHED_FROM, PATCH_LAYERS = 256, 3  # from this side on, D has pix2pix's number of stride-2 layers


class Dermgan(ModulePlugin):
    """One model for all classes and images of side `task.size`, a power of two of at least 16."""

    def __init__(self, options: DermganOptions, task: Task) -> None:
        self.options, self.device = options, task.device
        self.colours = class_colours(len(task.classes)).to(task.device)
        layers = options.patch_layers or patch_layers(task.size)
        self.generator = UNet(options.base, downs(task.size)).to(task.device)
        self.discriminator = Patches(options.d_base or options.base, layers).to(task.device)
        self.order = DrawOrder()
        dcgan_init(self.generator)
        dcgan_init(self.discriminator)

    def fit(self, train: ImageSet, run: Run) -> None:
        """Per batch of images and their maps, update D once, then G once."""
        g, d, options = self.generator, self.discriminator, self.options
        self.order.fix(run.seed)
        engine = Engine(run, generator=g, discriminator=d)
        adam_g = engine.adam(g, options.lr, options.betas)
        adam_d = engine.adam(d, options.lr, options.betas)
        dropout_noise = engine.stream("dropout")

        def step(batch: Batch) -> dict[str, torch.Tensor]:
            assert batch.masks is not None
            real, lesion = batch.images, batch.masks
            maps = self.maps(lesion, skin_tones(real, lesion), batch.targets)
            with engine.autocast():
                fake = g(maps, dropout_noise)
                _, real_logits = d(maps, real)
                _, fake_logits = d(maps, fake.detach())
            loss_d = discriminator_loss(real_logits, fake_logits) / 2
            minimise(loss_d, adam_d)

            with frozen(d), engine.autocast():
                real_features, _ = d(maps, real)
                features, logits = d(maps, fake)
            error = (fake.float() - real).abs()
            losses = {
                "loss_gan": generator_loss(logits),
                "l1": error.mean(),
                "l1_lesion": mean_over(error, lesion),
                "feature_matching": matching(features, real_features),
            }
            weights = (1.0, options.l1, options.l1_lesion, options.feature_matching)
            loss_g = sum(
                (weight * loss for weight, loss in zip(weights, losses.values(), strict=True)),
                torch.zeros((), device=real.device),
            )
            minimise(loss_g, adam_g)

            outputs = {"d_real": real_logits, "d_fake": fake_logits}
            return (
                {"loss_d": loss_d, "loss_g": loss_g}
                | losses
                | {name: logits.detach().float().sigmoid().mean() for name, logits in outputs.items()}
            )

        with_masks = replace(train, masks=lesion_masks(train))
        after = lambda b, _: run.snapshot(b.step, self.state)  # noqa: E731
        engine.fit(step, with_masks, options.batch_size, after=after, masks=True)

    @torch.inference_mode()
    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """Return images generated from new maps. The source ids are the images that the lesions' regions come from."""
        if train is None:
            raise ValueError("dermgan needs training images for regions and tones, but got none")
        self.generator.eval()
        rows = self.order.of_class(train, request)
        maps = self.new_maps(train, rows, request)
        dropout_noise = stream(request.seed, "dropout", self.device)
        images = [self.generator(some, dropout_noise) for some in maps.to(self.device).split(CHUNK)]
        return Samples(to_bytes(torch.cat(images)), [train.ids[i] for i in rows.tolist()])

    def new_maps(self, train: ImageSet, rows: torch.Tensor, request: SampleRequest) -> torch.Tensor:
        """Return maps [n,3,S,S]: the regions of the lesions of the images `rows`, rescaled and shifted, on the skin
        tones of other images of the class."""
        draws = stream(request.seed, "maps")
        places = lesion_masks(train.subset(rows)).float() / 255
        varied = moved(places, self.options.resize, self.options.move, draws)
        others = train.subset(rows[torch.randperm(len(rows), generator=draws)])
        skin = skin_tones(others.images.contiguous().float() / 127.5 - 1, lesion_masks(others).float() / 255)
        if request.label is None:
            targets = F.one_hot(train.labels[rows], len(train.classes)).float()
        else:
            targets = one_hot_of(request.label, len(rows), len(train.classes), "cpu")
        return self.maps(varied.to(self.device), skin.to(self.device), targets.to(self.device))

    def maps(self, lesion: torch.Tensor, skin: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return maps float32 [N,3,S,S] in [-1,1] of masks [N,1,S,S] in [0,1], tones [N,3] and targets [N,K].

        A map has the colour of the class inside the region and the colour of the skin outside.
        """
        region = boxes(lesion) if self.options.region == "box" else lesion > 0.5
        return torch.where(region, (targets @ self.colours)[:, :, None, None], skin[:, :, None, None])

    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator, "order": self.order}


# ------------------------------------------------------------------------------------------- maps


def class_colours(classes: int) -> torch.Tensor:
    """Return colours float32 [K,3] in [-1,1]: pure hues, evenly spaced, starting at blue."""
    hues = [(2 / 3 + k / classes) % 1 for k in range(classes)]
    return torch.tensor([colorsys.hsv_to_rgb(hue, 1, 1) for hue in hues]) * 2 - 1


def moved(masks: torch.Tensor, resize: float, move: float, draws: torch.Generator) -> torch.Tensor:
    """Return masks [N,1,S,S], rescaled about their middle by up to `resize`, then shifted along each axis by up to
    `move` of the side.

    Both amounts are drawn uniformly. The middle stays inside the image.
    """
    n, side = len(masks), masks.shape[-1]
    place = torch.linspace(-1 + 1 / side, 1 - 1 / side, side)
    box = boxes(masks).squeeze(1)
    middles = torch.stack([middle_of(box.any(dim=1), place), middle_of(box.any(dim=2), place)], dim=1)  # x, y
    size = uniform(n, 1 - resize, 1 + resize, draws)
    shift = torch.stack([uniform(n, -2 * move, 2 * move, draws) for _ in range(2)], dim=1)
    target = (middles + shift).clamp(-0.9, 0.9)
    matrices = identity(n, masks.device)
    matrices[:, 0, 0] = matrices[:, 1, 1] = 1 / size
    matrices[:, :2, 2] = (
        middles - target / size[:, None]
    )  # from positions in the result to positions in the mask
    grid = F.affine_grid(matrices[:, :2], list(masks.shape), align_corners=False)
    return F.grid_sample(masks, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def middle_of(marks: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """Return the mean position of the marks, bool [N,S], in each row, as float32 [N]; 0 for a row without marks."""
    return (marks * place).sum(dim=1) / marks.sum(dim=1).clamp(min=1)


# ------------------------------------------------------------------------------------------- losses


def mean_over(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the mean of values [N,C,H,W] with weights [N,1,H,W]; 0 if all weights are 0."""
    return (values * weights).sum() / (weights.sum() * values.shape[1]).clamp(min=1)


def matching(features: list[torch.Tensor], real: list[torch.Tensor]) -> torch.Tensor:
    """Return the mean absolute difference of D's features of generated and real images, averaged over the layers."""
    distances = [(a.float() - b.detach().float()).abs().mean() for a, b in zip(features, real, strict=True)]
    return torch.stack(distances).mean()


# ------------------------------------------------------------------------------------------- networks


class UNet(nn.Module):
    """Maps [N,3,S,S] -> images [N,3,S,S] in [-1,1], S = 2^depth. Dropout uses the given random generator."""

    def __init__(self, base: int, depth: int) -> None:
        super().__init__()
        widths = [base * min(2**k, 8) for k in range(depth)]
        self.down = nn.ModuleList([Down(3, widths[0], slope=1.0, norm=False)])
        self.down += [Down(a, b, norm=k < depth) for k, (a, b) in enumerate(pairwise(widths), start=2)]
        inner = [widths[-1], *[2 * width for width in widths[-2:0:-1]]]  # including the channels of the skip
        self.up = nn.ModuleList(
            [Up(a, b, dropout=k < 3) for k, (a, b) in enumerate(zip(inner, widths[-2::-1], strict=True))]
        )
        self.to_rgb = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(2 * widths[0], 3, 3, padding=1))

    def forward(self, maps: torch.Tensor, dropout_noise: torch.Generator) -> torch.Tensor:
        skips = [maps]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = skips.pop()
        for up in self.up:
            x = torch.cat([up(x, dropout_noise), skips.pop()], dim=1)
        return torch.tanh(self.to_rgb(F.relu(x)))


class Down(nn.Module):
    """LeakyReLU, then a convolution that halves the side."""

    def __init__(self, channels: int, out: int, *, norm: bool, slope: float = 0.2) -> None:
        super().__init__()
        self.slope = slope
        self.conv = nn.Conv2d(channels, out, 4, stride=2, padding=1, bias=not norm)
        self.norm = nn.InstanceNorm2d(out, affine=True) if norm else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        halved: torch.Tensor = self.norm(self.conv(F.leaky_relu(x, self.slope)))
        return halved


class Up(nn.Module):
    """ReLU, then a resize-convolution that doubles the side, then dropout."""

    def __init__(self, channels: int, out: int, *, dropout: bool) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Upsample(scale_factor=2),
            nn.Conv2d(channels, out, 3, padding=1, bias=False),
            nn.InstanceNorm2d(out, affine=True),
        )
        self.dropout = dropout

    def forward(self, x: torch.Tensor, dropout_noise: torch.Generator) -> torch.Tensor:
        doubled: torch.Tensor = self.conv(F.relu(x))
        if not self.dropout:
            return doubled
        kept = torch.rand(doubled.shape, generator=dropout_noise, device=doubled.device) < 0.5
        return doubled * kept * 2


class Patches(nn.Module):
    """Maps and images [N,3,S,S] -> the features of the hidden layers, and logits [N,1,h,w], one per patch."""

    def __init__(self, base: int, layers: int) -> None:
        super().__init__()
        widths = [base * min(2**k, 8) for k in range(layers + 1)]
        self.hidden = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(6, base, 4, stride=2, padding=1), nn.LeakyReLU(0.2))]
        )
        for k, (channels, out) in enumerate(pairwise(widths), start=1):
            conv = nn.Conv2d(channels, out, 4, stride=2 if k < layers else 1, padding=1, bias=False)
            self.hidden.append(nn.Sequential(conv, nn.InstanceNorm2d(out, affine=True), nn.LeakyReLU(0.2)))
        self.logit = nn.Conv2d(widths[-1], 1, 4, padding=1)

    def forward(self, maps: torch.Tensor, images: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        features = [torch.cat([maps, images], dim=1)]
        for layer in self.hidden:
            features.append(layer(features[-1]))
        return features[1:], self.logit(features[-1])


def downs(size: int) -> int:
    """Return the number of halvings from `size` to 1. Raises UserError unless `size` is a power of two of at least
    16."""
    if size < 16 or size & (size - 1):
        raise UserError(
            f"dermgan makes images whose side is a power of two of at least 16, not {size}",
            hint="set the generator's size to 32, 64 or 128; samples are resized to the stored size",
        )
    return size.bit_length() - 1


def patch_layers(size: int) -> int:
    """Return the number of stride-2 layers of D: 3 from 256 px on, one fewer per halving of the side, at least 1."""
    return max(1, PATCH_LAYERS - max(0, PATCHED_FROM.bit_length() - size.bit_length()))
