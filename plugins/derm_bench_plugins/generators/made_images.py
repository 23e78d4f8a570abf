"""Images that were made outside of the harness: read from files, then drawn without repetition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.imageio import UnreadableImage, read_image
from derm_bench.images import Samples
from derm_bench.training.resize import fit_square
from derm_bench.training.seeding import stream

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.specs import SampleRequest, Task


class MadeImages:
    """Images of each class in the order in which they are drawn, uint8 [n,3,size,size].

    `source` is what error messages call their origin.
    """

    def __init__(self, task: Task, source: str) -> None:
        self.task, self.source = task, source
        self.images: dict[str, torch.Tensor] = {}

    def keep(self, images: Sequence[torch.Tensor], seed: int) -> None:
        """Stores the images of all classes, each uint8 [n,3,size,size], in an order that follows from `seed`."""
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


def read_images(paths: Sequence[Path], root: Path, size: int) -> torch.Tensor:
    """uint8 [n,3,size,size], the centre square of each image; UserError that names the first images that cannot be
    read, and why."""
    pixels, wrong = np.empty((len(paths), size, size, 3), np.uint8), []
    for k, path in enumerate(paths):
        try:
            pixels[k] = fit_square(read_image(path, root=root, at_least=size), None, size, "center-crop")[0]
        except UnreadableImage as error:
            wrong.append(f"{path.relative_to(root).as_posix()}: {error.reason}")
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UserError(f"{len(wrong)} of {len(paths)} images cannot be read: {'; '.join(wrong[:3])}{more}")
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
