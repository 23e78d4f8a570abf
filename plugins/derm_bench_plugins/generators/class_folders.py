"""Images in one folder per class. Imports no torch: planning lists them too."""

from __future__ import annotations

from pathlib import Path

from derm_bench.errors import UserError
from derm_bench_plugins.datasets import files


def images_by_class(root: Path) -> dict[str, list[Path]]:
    """Class -> its images, sorted by path. UserError where there is no folder, or none with images in it."""
    place = files.existing_folder(root, "folder generator's")
    found = {folder.name: list(files.images_below(folder)) for folder in files.folders(place)}
    if not any(found.values()):
        raise UserError(f"no folder in {place} holds images", hint="expected root/<class>/*.png")
    return found
