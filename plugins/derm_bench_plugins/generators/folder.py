"""folder: images that somebody has made already, root/<class>/*."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from derm_bench.errors import UserError
from derm_bench.imageio import UnreadableImage, read_image
from derm_bench.images import ImageSet
from derm_bench.run import Run
from derm_bench.specs import Task
from derm_bench.training.resize import fit_square
from derm_bench_plugins.generators.finite import FiniteImages
from derm_bench_plugins.generators.planned import folder_images
from derm_bench_plugins.generators.specs.adapters import FolderOptions


class Folder(FiniteImages):
    """Reads the folders of the task's classes once; what is drawn later comes from the state."""

    def __init__(self, options: FolderOptions, task: Task) -> None:
        super().__init__(task, "the folder")
        self.root = options.root

    def fit(self, train: ImageSet, run: Run) -> None:
        """Nothing is trained: reads the images, centre squares of side `task.size`. UserError where a class has none,
        or one cannot be read or is a link that leads out of the folder."""
        found = folder_images(self.root)
        for name in self.task.classes:
            if not found.get(name):
                raise UserError(
                    f"{self.root} has no images of '{name}'",
                    hint="its folders with images: " + ", ".join(k for k, v in found.items() if v),
                )
        images = [read_images(found[name], self.root, self.task.size) for name in self.task.classes]
        self.keep(images, run.seed)


def read_images(paths: list[Path], root: Path, size: int) -> torch.Tensor:
    """uint8 [n,3,size,size]; UserError that names the first images that cannot be read, and why."""
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
