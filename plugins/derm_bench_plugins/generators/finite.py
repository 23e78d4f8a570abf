"""Drawing from images that are there and no more, without repetition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.images import ImageSet, Samples
from derm_bench.specs import SampleRequest, Task
from derm_bench.training.seeding import stream


class FiniteImages:
    """Images of each class in the order in which they are drawn, uint8 [n,3,size,size]."""

    def __init__(self, task: Task, source: str) -> None:
        self.task, self.source = task, source
        self.images: dict[str, torch.Tensor] = {}

    def keep(self, images: Sequence[torch.Tensor], seed: int) -> None:
        """Takes the images of all classes, each uint8 [n,3,size,size], into an order that `seed` decides."""
        for k, drawn in enumerate(images):
            order = torch.randperm(len(drawn), generator=stream(seed, f"order/{k}"))
            self.images[f"images.{k}"] = drawn[order]

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """The next images from `request.start` on; past the last of them only to fill a chunk. UserError where more
        are to be kept than there are."""
        images = self.images[f"images.{request.label or 0}"]
        wanted = request.start + request.n if request.total is None else request.total
        if wanted > len(images):
            name = self.task.classes[request.label or 0]
            raise UserError(f"{self.source} has {len(images)} images of '{name}', {wanted} are asked for")
        return Samples(images[torch.arange(request.start, request.start + request.n) % len(images)])

    def parts(self) -> dict[str, nn.Module]:
        return {}

    def state(self) -> dict[str, torch.Tensor]:
        return dict(self.images)

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.images = dict(state)
