"""The functions of `folder` that planning calls: problems, digest and number of the images, and their origin.

Imports no torch, because the parent process imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.imageio import MAX_BYTES
from derm_bench.specs import Provenance
from derm_bench_plugins.generators.class_folders import images_by_class
from derm_bench_plugins.generators.tree_digest import tree_digest

if TYPE_CHECKING:
    from derm_bench_plugins.generators.specs.folder import FolderOptions


def preflight(options: FolderOptions) -> Iterator[str]:
    """Yield the reason why the folder cannot be used, if any."""
    try:
        images_by_class(options.root)
    except UserError as error:
        yield f"{error.message}; {error.hint}" if error.hint else error.message


def digests(options: FolderOptions) -> dict[str, str]:
    """Return one digest over the names and contents of all images."""
    root = options.root.absolute()
    found = images_by_class(root)
    paths = {path.relative_to(root).as_posix(): path for images in found.values() for path in images}
    return {"images": tree_digest(paths, MAX_BYTES)}


def counts(options: FolderOptions) -> dict[str, int]:
    """Return the number of images of each class."""
    return {name: len(images) for name, images in images_by_class(options.root).items()}


def provenance(options: FolderOptions) -> Provenance:
    """Return the statement of `trained_on`, and whether it includes validation or test images."""
    statement = f"stated to come from a model trained on '{options.trained_on}'"
    return Provenance(statement, options.split or "", options.sees_test)
