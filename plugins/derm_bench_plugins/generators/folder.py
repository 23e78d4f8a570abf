"""folder: existing synthetic images in root/<class>/*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench_plugins.generators.class_folders import images_by_class
from derm_bench_plugins.generators.made_images import MadeImages, read_images

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Run
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.folder import FolderOptions


class Folder(MadeImages):
    """Reads the folders of the task's classes once per fit. Samples are then taken from the state."""

    def __init__(self, options: FolderOptions, task: Task) -> None:
        super().__init__(task, "the folder")
        self.root = options.root

    def fit(self, train: ImageSet, run: Run) -> None:
        """Train nothing, but read the images as centre squares of side `task.size`.

        Raises UserError if a class has no images, an image cannot be read, or an image is a link that leads out of the
        folder.
        """
        found = images_by_class(self.root)
        for name in self.task.classes:
            if not found.get(name):
                raise UserError(
                    f"{self.root} has no images of '{name}'",
                    hint="its folders with images: " + ", ".join(k for k, v in found.items() if v),
                )
        images = [read_images(found[name], self.root, self.task.size) for name in self.task.classes]
        self.keep(images, run.seed)
