"""Controls: generators that train nothing, to tell what a GAN's images do from what any images do.

    duplicate       real training images drawn again: what more updates on the same images do
    blur            the same, through a Gaussian: what their low frequencies do
    bottleneck      the same, down to the side `size` and back to the stored one: what its resolution costs
    shuffled-label  the same, labels drawn from the training prior: what images without a class do
    more-real       images of the reserve: what as many new real images would do, the bound for any generator
    noise           uniform pixels: what images of nothing do

An image is drawn again only when all of its class were drawn. Source ids name the images.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torchvision.transforms.v2 import functional as tv

from derm_bench.errors import UserError
from derm_bench.images import ImageSet, Samples
from derm_bench.run import Run
from derm_bench.specs import SampleRequest, Task
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench.training.seeding import stream
from derm_bench_plugins.generators.drawing import DrawOrder
from derm_bench_plugins.generators.specs.controls import BlurOptions, ControlOptions


class Duplicate(ModulePlugin):
    """Images of the class asked for, byte for byte. With a `size` of its own they go through it, as `bottleneck`."""

    def __init__(self, options: ControlOptions, task: Task) -> None:
        self.task = task
        self.order = DrawOrder()

    def fit(self, train: ImageSet, run: Run) -> None:
        """Fixes the order in which images are drawn."""
        self.order.fix(run.seed)

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        if train is None:
            raise ValueError("there is no training set to draw from")
        rows = self.rows(request, train)
        return Samples(self.altered(train.images[rows]), [train.ids[i] for i in rows.tolist()])

    def rows(self, request: SampleRequest, train: ImageSet) -> torch.Tensor:
        """Which images of `train` are drawn, int64 [request.n]."""
        return self.order.of_class(train, request)

    def altered(self, images: torch.Tensor) -> torch.Tensor:
        """What becomes of the images drawn, uint8 [n,3,S,S]."""
        return images

    def parts(self) -> dict[str, nn.Module]:
        return {"order": self.order}


class Blur(Duplicate):
    """Convolved with a Gaussian out to 3 sigma, the edge reflected."""

    def __init__(self, options: BlurOptions, task: Task) -> None:
        super().__init__(options, task)
        self.sigma = options.sigma

    def altered(self, images: torch.Tensor) -> torch.Tensor:
        reach = min(math.ceil(3 * self.sigma), images.shape[-1] - 1)  # reflection ends at the other edge
        blurred: torch.Tensor = tv.gaussian_blur(images, [2 * reach + 1] * 2, [self.sigma] * 2)
        return blurred


class Bottleneck(Duplicate):
    """The harness hands every generator its images at `size`, and brings samples back to the stored size, both on
    one path for all. So what goes through it unaltered is what the generator of that size loses in any case."""


class ShuffledLabel(Duplicate):
    """For every label images of the whole training set. Drawn evenly, their true classes follow its prior; over as
    many draws as it has images, exactly."""

    def rows(self, request: SampleRequest, train: ImageSet) -> torch.Tensor:
        return self.order.rows(len(train), request)


class MoreReal(Duplicate):
    """The images of the reserve, each once; `train` is the reserve here, as the spec's `reads` says."""

    def rows(self, request: SampleRequest, train: ImageSet) -> torch.Tensor:
        """UserError where more are to be kept than there are; a chunk may run over the end."""
        have = len(train) if request.label is None else int((train.labels == request.label).sum())
        wanted = request.start + request.n if request.total is None else request.total
        if wanted > have:
            name = "" if request.label is None else f" of '{train.classes[request.label]}'"
            raise UserError(
                f"the reserve has {have} images{name}, {wanted} are asked for",
                hint="raise split.reserve, or ask for fewer",
            )
        return super().rows(request, train)


class Noise(ModulePlugin):
    """Each value of each pixel uniform over 0 to 255."""

    def __init__(self, options: ControlOptions, task: Task) -> None:
        self.size = task.size

    def fit(self, train: ImageSet, run: Run) -> None:
        """There is nothing to do."""

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        noise = stream(request.seed, f"noise/{request.label}")
        shape = (request.n, 3, self.size, self.size)
        return Samples(torch.randint(0, 256, shape, generator=noise, dtype=torch.uint8))

    def parts(self) -> dict[str, nn.Module]:
        return {}
