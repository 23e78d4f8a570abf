"""Pixel distances of samples to each other and to real images. The thresholds are in `derm_bench.training.health`."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields

import torch

from derm_bench.images import ImageSet
from derm_bench.specs import Generator, GeneratorSpec, SampleRequest
from derm_bench.training.resize import resize_images
from derm_bench.training.seeding import child_seed, seed_everything

COARSE = 4
COMPARED = 64  # images per side


@dataclass(frozen=True)
class Likeness:
    """Distances of samples, each divided by the same distance of real images, so that real images have the value 1.

    distance_ratio: mean pixel distance of two samples. coarse_ratio: the same at 4x4 pixels, where noise and fine
    patterns vanish. nearest_ratio: median distance of a sample to its nearest real image, relative to the median
    distance of a real image to its nearest other real image. 64 images per side are used.
    """

    distance_ratio: float
    coarse_ratio: float
    nearest_ratio: float


FIGURES = tuple(field.name for field in fields(Likeness))


def likeness(samples: torch.Tensor, real: torch.Tensor) -> Likeness | None:
    """Return the likeness of samples uint8 [n,3,S,S] to real images uint8 [m,3,S,S]. Returns None if there are fewer
    than two samples or fewer than three real images, or if the real images do not differ."""
    if len(samples) < 2 or len(real) < 3:
        return None
    ours, theirs = _compared(samples), _compared(real)
    spread = _mean_distance(theirs)
    coarse = _mean_distance(_coarse(theirs))
    among = torch.cdist(theirs.flatten(1), theirs.flatten(1)).fill_diagonal_(math.inf).amin(dim=1).median()
    if min(spread, coarse, float(among)) == 0:
        return None
    across = torch.cdist(ours.flatten(1), theirs.flatten(1)).amin(dim=1).median()
    return Likeness(
        _mean_distance(ours) / spread, _mean_distance(_coarse(ours)) / coarse, float(across / among)
    )


def sample_likeness(
    spec: GeneratorSpec, generator: Generator, train: ImageSet, seed: int
) -> dict[str, dict[str, float]]:
    """Return the likeness of 64 samples of each class to its training images: class -> figure (`FIGURES`) -> value.

    The class is `all` if the generator does not distinguish classes. Classes without a likeness are left out. The
    result is empty if the samples are not uint8 [64,3,H,W], which the sample stage refuses.
    """
    names = dict(enumerate(train.classes))
    labels: list[int | None] = list(names) if spec.conditional or len(names) == 1 else [None]
    found: dict[str, dict[str, float]] = {}
    for label in labels:
        real = train.images if label is None else train.images[train.labels == label]
        # total=0: these samples are not kept, so a generator with a finite number of images may repeat them.
        request = SampleRequest(label, COMPARED, child_seed(seed, "health") % 2**31, total=0)
        seed_everything(request.seed)
        images = generator.sample(request, train if spec.conditions_on != "none" else None).images
        if (
            not isinstance(images, torch.Tensor)
            or images.dtype != torch.uint8
            or images.shape[:2] != (COMPARED, 3)
        ):
            return {}
        alike = likeness(resize_images(images.cpu(), train.size), real)
        if alike is not None:
            name = "all" if label is None else names[label]
            found[name] = asdict(alike)
    return found


def _compared(images: torch.Tensor) -> torch.Tensor:
    """Return at most 64 images spread evenly over the set, float32 in [0,1], contiguous for reproducible sums."""
    rows = torch.linspace(0, len(images) - 1, min(len(images), COMPARED)).round().long()
    return images.cpu()[rows].contiguous().float() / 255


def _coarse(images: torch.Tensor) -> torch.Tensor:
    """Return the means over the cells of a 4x4 grid."""
    return torch.nn.functional.adaptive_avg_pool2d(images, min(COARSE, images.shape[-1]))


def _mean_distance(images: torch.Tensor) -> float:
    """Return the mean distance over all pairs."""
    return float(torch.nn.functional.pdist(images.flatten(1)).mean())
