"""EF-GAN (Xu et al. 2020, environmental microorganisms; a baseline of paper 000). It has three steps:

    1  recolour the originals     2  train one DCGAN per class on them     3  rotate its images

Only the abstract was available, so the following are choices. The GAN is DCGAN at 64 px. In step 1, the hue is shifted
by -h, -h/2, 0, h/2 and h, or (`colour: permutations`) the colour channels are put in their six orders. In step 3, each
image is rotated by one multiple of `rotate`, drawn uniformly, so that there are as many different images as requested.
Colour carries no information about the class of a microorganism, but much about the class of a lesion; the default
shift is therefore at most 0.05 of the colour circle. Rotations by angles other than multiples of 90 degrees resample
(bilinear, reflected beyond the edge), which blurs images slightly. An epoch has as many images as there are originals.
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
    """A DCGAN trained on recoloured copies of the training images, whose samples are rotated."""

    options: EfganOptions

    def fit(self, train: ImageSet, run: Run) -> None:
        """Train DCGAN on all recoloured copies of the training images."""
        images, options = train.images, self.options
        variants = permuted(images) if options.colour == "permutations" else shifted_hues(images, options.hue)
        super().fit(recoloured(train, variants), run)

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """Return images of DCGAN, each rotated by a multiple of `rotate`."""
        images = super().sample(request, train).images
        steps = torch.randint(
            360 // self.options.rotate, (request.n,), generator=stream(request.seed, "turn")
        )
        return Samples(rotated(images, steps * self.options.rotate))


def recoloured(train: ImageSet, variants: dict[str, torch.Tensor]) -> ImageSet:
    """Return the whole set once per variant (name -> uint8 images [N,3,S,S]). The ids are `<id>/<name>`."""
    copies = train.subset(list(range(len(train))) * len(variants))
    ids = tuple(f"{image}/{name}" for name in variants for image in train.ids)
    return replace(copies, images=torch.cat(list(variants.values())), ids=ids)


def permuted(images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the images with the channels in each of the six orders, from `rgb`, the original, to `bgr`."""
    return {"".join("rgb"[k] for k in order): images[:, list(order)] for order in permutations(range(3))}


def shifted_hues(images: torch.Tensor, most: float) -> dict[str, torch.Tensor]:
    """Return the images with five shifts of hue from -most to most, as fractions of the colour circle.

    Saturation and value do not change. If `most` is 0, only the originals are returned.
    """
    shifts = [most * k / 2 for k in (-2, -1, 0, 1, 2)] if most else [0.0]
    return {f"{shift:+g}": _shifted_hue(images, shift) if shift else images for shift in shifts}


def _shifted_hue(images: torch.Tensor, shift: float) -> torch.Tensor:
    """Shift the hue in chunks, because the conversion needs some 400 bytes per pixel."""
    return torch.cat([tv.adjust_hue(chunk, shift) for chunk in images.split(CHUNK)])


def rotated(images: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
    """Return images uint8 [n,3,S,S], rotated counter-clockwise by `degrees`, int64 [n]; exact for multiples of 90."""
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
