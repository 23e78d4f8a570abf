"""A folder of samples that a person sorts into folders of classes. The files are named by their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from derm_bench.errors import UserError, Waiting
from derm_bench_plugins.generators.sorted_names import UNSORTED, sorted_numbers


class SortedFolder:
    """The folder `root` with one folder per class and the folder `unsorted`."""

    def __init__(self, root: Path, classes: Sequence[str]) -> None:
        self.root, self.classes = root, classes

    def places(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the numbers of the samples of each class, int64, of images uint8 [N,3,S,S].

        Raises Waiting, after writing the images if the folder does not exist or is empty, as long as no image is
        sorted. Raises UserError for names that are no numbers of samples, or are in two classes.
        """
        if not self.root.exists() or not any(self.root.iterdir()):
            self._write(images)
        found = sorted_numbers(self.root, self.classes)
        if not any(found.values()):
            names = ", ".join(f"{self.root / name}" for name in self.classes)
            raise Waiting(
                f"move the images in {self.root / UNSORTED} into the folders {names}; what shows no class stays "
                "where it is. Then start the same command again"
            )
        twice = [k for k in range(len(images)) if sum(k in numbers for numbers in found.values()) > 1]
        if twice:
            raise UserError(f"{self.root}: the sample {twice[0]:06d} is in two classes")
        if unknown := [k for numbers in found.values() for k in numbers if k >= len(images)]:
            raise UserError(
                f"{self.root}: there is no sample {unknown[0]:06d} among {len(images)}",
                hint="the folder was made with more draws: set `draws` as it was then, or sort a new folder",
            )
        return {name: torch.tensor(sorted(numbers), dtype=torch.int64) for name, numbers in found.items()}

    def _write(self, images: torch.Tensor) -> None:
        for name in (*self.classes, UNSORTED):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        width = max(6, len(str(len(images))))
        for k, image in enumerate(images.permute(0, 2, 3, 1).contiguous()):
            Image.fromarray(image.numpy()).save(self.root / UNSORTED / f"{k:0{width}d}.png")
