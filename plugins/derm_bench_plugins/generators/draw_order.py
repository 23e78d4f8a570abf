"""The order in which a generator draws real images when it samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from derm_bench.training.seeding import stream

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.specs import SampleRequest


class DrawOrder(nn.Module):
    """An order of real images that follows from the seed of the fit.

    Images are drawn without replacement until all have been used, then again in another order, without end. Thus no
    image is drawn twice before all have been drawn once.
    """

    seed: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seed", torch.zeros((), dtype=torch.int64))

    def fix(self, seed: int) -> None:
        """Set the seed, which is that of the fit."""
        self.seed.fill_(seed)

    def rows(self, images: int, request: SampleRequest, name: str = "") -> torch.Tensor:
        """Return the draws number `request.start` and the n - 1 after it, as indices below `images`, int64 [request.n].

        Each label and each `name` has a separate order.
        """
        if not images:
            raise ValueError("there is no image to draw")
        first, last = request.start // images, (request.start + request.n - 1) // images
        rounds = [self._round(images, f"{name}/{request.label}/{k}") for k in range(first, last + 1)]
        begin = request.start - first * images
        return torch.cat(rounds)[begin : begin + request.n]

    def of_class(self, train: ImageSet, request: SampleRequest) -> torch.Tensor:
        """Return the draws among the images of class `request.label` (None: all classes), as rows of `train`."""
        if request.label is None:
            return self.rows(len(train), request)
        own = torch.nonzero(train.labels == request.label).flatten()
        return own[self.rows(len(own), request)]

    def _round(self, images: int, name: str) -> torch.Tensor:
        return torch.randperm(images, generator=stream(int(self.seed), f"order/{name}"))
