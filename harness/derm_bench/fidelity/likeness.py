"""How samples lie among themselves and to real images, pixel by pixel. Only measures: `derm_bench.training.health` has
the thresholds."""

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
    """Distances of samples, each relative to the same distance of real images: 1 is as real images.

    distance_ratio: mean distance of two samples, pixel by pixel. coarse_ratio: the same at 4x4 pixels, where noise and
    fine patterns vanish. nearest_ratio: median distance of a sample to its nearest real image, relative to the median
    distance of a real image to its nearest other one. Of 64 images per side.
    """

    distance_ratio: float
    coarse_ratio: float
    nearest_ratio: float


FIGURES = tuple(field.name for field in fields(Likeness))


def likeness(samples: torch.Tensor, real: torch.Tensor) -> Likeness | None:
    """The likeness of samples uint8 [n,3,S,S] to real images uint8 [m,3,S,S]. None where there is nothing to compare:
    real images that do not differ, fewer than two samples or fewer than three real images."""
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
    """The likeness of 64 samples per class to its training images: class -> figure (`FIGURES`) -> value. The
    class is `all` where the generator does not distinguish classes. Classes for which there is nothing to
    compare are left out, and all of them where the samples are not uint8 [64,3,H,W]: the sample stage refuses those.
    """
    names = dict(enumerate(train.classes))
    labels: list[int | None] = list(names) if spec.conditional or len(names) == 1 else [None]
    found: dict[str, dict[str, float]] = {}
    for label in labels:
        real = train.images if label is None else train.images[train.labels == label]
        # total=0: none of these samples is kept, so a generator that has fewer images may repeat them.
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
    """Images spread evenly over the set, 64 at most, float32 in [0,1], contiguous as sums over them depend on it."""
    rows = torch.linspace(0, len(images) - 1, min(len(images), COMPARED)).round().long()
    return images.cpu()[rows].contiguous().float() / 255


def _coarse(images: torch.Tensor) -> torch.Tensor:
    """Means over the cells of a 4x4 grid."""
    return torch.nn.functional.adaptive_avg_pool2d(images, min(COARSE, images.shape[-1]))


def _mean_distance(images: torch.Tensor) -> float:
    """Over all pairs."""
    return float(torch.nn.functional.pdist(images.flatten(1)).mean())
