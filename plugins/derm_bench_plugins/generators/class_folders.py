"""Images in one folder per class. Imports no torch, because planning lists them too."""

from __future__ import annotations

from pathlib import Path

from derm_bench.errors import UserError
from derm_bench_plugins.datasets import files


def images_by_class(root: Path) -> dict[str, list[Path]]:
    """Return the images of each class, sorted by path.

    Raises UserError if `root` is not a folder or contains no folder with images.
    """
    place = files.existing_folder(root, "folder generator's")
    found = {folder.name: list(files.images_below(folder)) for folder in files.folders(place)}
    if not any(found.values()):
        raise UserError(f"no folder in {place} contains images", hint="expected root/<class>/*.png")
    return found
