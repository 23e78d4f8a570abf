"""Images that were made outside the harness. They are read from files and drawn without repetition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.imageio import UnreadableImage, damage_is_an_error, read_image
from derm_bench.images import Samples
from derm_bench.training.resize import fit_square
from derm_bench.training.seeding import stream

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.specs import SampleRequest, Task


class MadeImages:
    """Images of each class in the order in which they are drawn, uint8 [n,3,size,size].

    `source` is the name of their origin in error messages.
    """

    def __init__(self, task: Task, source: str) -> None:
        self.task, self.source = task, source
        self.images: dict[str, torch.Tensor] = {}

    def keep(self, images: Sequence[torch.Tensor], seed: int) -> None:
        """Store the images of each class, uint8 [n,3,size,size], in an order that follows from `seed`."""
        for k, drawn in enumerate(images):
            order = torch.randperm(len(drawn), generator=stream(seed, f"order/{k}"))
            self.images[f"images.{k}"] = drawn[order]

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """Return `request.n` images starting at `request.start`.

        A chunk that extends beyond the last image is filled from the start. Raises UserError if the whole request needs
        more images than there are.
        """
        images = self.images[f"images.{request.label or 0}"]
        wanted = request.start + request.n if request.total is None else request.total
        if wanted > len(images):
            name = self.task.classes[request.label or 0]
            raise UserError(f"{self.source} has {len(images)} images of '{name}', but {wanted} are requested")
        return Samples(images[torch.arange(request.start, request.start + request.n) % len(images)])

    def parts(self) -> dict[str, nn.Module]:
        return {}

    def state(self) -> dict[str, torch.Tensor]:
        return dict(self.images)

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        self.images = dict(state)


def read_images(paths: Sequence[Path], root: Path, size: int) -> torch.Tensor:
    """Return the centre square of each image, uint8 [n,3,size,size].

    Raises UserError, which names the first images that cannot be read and the reasons.
    """
    pixels, wrong = np.empty((len(paths), size, size, 3), np.uint8), []
    with damage_is_an_error():
        for k, path in enumerate(paths):
            try:
                read = read_image(path, root=root, at_least=size)
            except UnreadableImage as error:
                wrong.append(f"{path.relative_to(root).as_posix()}: {error.reason}")
                continue
            pixels[k] = fit_square(read, None, size, "center-crop")[0]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise UserError(f"{len(wrong)} of {len(paths)} images cannot be read: {'; '.join(wrong[:3])}{more}")
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
