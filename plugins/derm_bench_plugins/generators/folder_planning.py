"""What planning asks of `folder`: problems seen beforehand, the images there are, where they come from.

Imports no torch: the parent process calls it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.specs import Provenance
from derm_bench_plugins.generators.class_folders import images_by_class
from derm_bench_plugins.generators.tree_digest import tree_digest

if TYPE_CHECKING:
    from derm_bench_plugins.generators.specs.folder import FolderOptions


def preflight(options: FolderOptions) -> Iterator[str]:
    """Why the folder cannot be used."""
    try:
        images_by_class(options.root)
    except UserError as error:
        yield f"{error.message}; {error.hint}" if error.hint else error.message


def digests(options: FolderOptions) -> dict[str, str]:
    """One digest over names and contents of all images."""
    root = options.root.absolute()
    found = images_by_class(root)
    paths = {path.relative_to(root).as_posix(): path for images in found.values() for path in images}
    return {"images": tree_digest(paths)}


def counts(options: FolderOptions) -> dict[str, int]:
    """Class -> number of its images."""
    return {name: len(images) for name, images in images_by_class(options.root).items()}


def provenance(options: FolderOptions) -> Provenance:
    """What `trained_on` states, and whether that includes validation or test images."""
    sees_test = bool(options.parts - {"train", "training"})
    statement = f"said to come from a model trained on '{options.trained_on}'"
    return Provenance(statement, options.split or "", sees_test)
