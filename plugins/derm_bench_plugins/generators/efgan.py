"""EF-GAN (Xu et al. 2020, environmental microorganisms; a baseline of paper 000), in three steps:

    1  originals in several colours     2  one DCGAN per class on them     3  its images, rotated

Only the abstract was available. Chosen here: DCGAN-64 for the GAN; in step 1 the hue shifted by -h, -h/2, 0, h/2 and h,
or (`colour: permutations`) the six orders of the colour channels; in step 3 each image rotated by one multiple of
`rotate`, drawn uniformly, so that there are as many different images as are asked for. Colour carries no information on
a microorganism's class, but much on a lesion's: the default stays within 0.05 of the colour circle. Rotations by other
than 90 degrees resample (bilinear, reflected beyond the edge), which blurs images a little. An epoch has as many images
as there are originals.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING

import torch
from torchvision.transforms.v2 import functional as tv

from derm_bench.images import Samples
from derm_bench.training.augment import rotation, warp
from derm_bench.training.gan_plugin import CHUNK
from derm_bench.training.seeding import stream
from derm_bench_plugins.generators.dcgan import Dcgan

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Run
    from derm_bench.specs import SampleRequest
    from derm_bench_plugins.generators.specs.efgan import EfganOptions


class Efgan(Dcgan):
    """A DCGAN whose training images are multiplied by colours and whose samples are rotated."""

    options: EfganOptions

    def fit(self, train: ImageSet, run: Run) -> None:
        """As DCGAN, on the training images in all their colours."""
        images, options = train.images, self.options
        variants = permuted(images) if options.colour == "permutations" else shifted_hues(images, options.hue)
        super().fit(recoloured(train, variants), run)

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """DCGAN's images, each rotated by a multiple of `rotate`."""
        images = super().sample(request, train).images
        steps = torch.randint(
            360 // self.options.rotate, (request.n,), generator=stream(request.seed, "turn")
        )
        return Samples(rotated(images, steps * self.options.rotate))


def recoloured(train: ImageSet, variants: dict[str, torch.Tensor]) -> ImageSet:
    """The whole set once per variant (name -> uint8 images [N,3,S,S]); ids are `<id>/<name>`."""
    copies = train.subset(list(range(len(train))) * len(variants))
    ids = tuple(f"{image}/{name}" for name in variants for image in train.ids)
    return replace(copies, images=torch.cat(list(variants.values())), ids=ids)


def permuted(images: torch.Tensor) -> dict[str, torch.Tensor]:
    """The six orders of the channels, from `rgb`, the original, to `bgr`."""
    return {"".join("rgb"[k] for k in order): images[:, list(order)] for order in permutations(range(3))}


def shifted_hues(images: torch.Tensor, most: float) -> dict[str, torch.Tensor]:
    """Five shifts of hue from -most to most, shares of the colour circle; saturation and value stay. The originals
    alone where `most` is 0."""
    shifts = [most * k / 2 for k in (-2, -1, 0, 1, 2)] if most else [0.0]
    return {f"{shift:+g}": _shifted_hue(images, shift) if shift else images for shift in shifts}


def _shifted_hue(images: torch.Tensor, shift: float) -> torch.Tensor:
    """In chunks, since the conversion needs some 400 bytes per pixel."""
    return torch.cat([tv.adjust_hue(chunk, shift) for chunk in images.split(CHUNK)])


def rotated(images: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
    """uint8 [n,3,S,S], each rotated counter-clockwise by its `degrees` int64 [n]; exact at multiples of 90."""
    quarters, rest = degrees // 90, degrees % 90
    out = torch.empty_like(images)
    for k in range(4):
        rows = quarters % 4 == k
        out[rows] = torch.rot90(images[rows], k, dims=(2, 3))
    rows = rest != 0
    if rows.any():
        resampled = warp(out[rows].float() / 255, rotation(rest[rows].float()))
        out[rows] = resampled.mul(255).round().clamp(0, 255).to(torch.uint8)
    return out
