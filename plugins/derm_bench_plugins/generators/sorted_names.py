"""The files in a folder that a person sorts: which sample is in the folder of which class. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError

if TYPE_CHECKING:
    from derm_bench_plugins.generators.specs.graded import GradedOptions

UNSORTED = "unsorted"
_NUMBER = re.compile(r"(\d{1,9})\.png")
_MOST = 1_000_000


def sorted_numbers(root: Path, classes: Sequence[str]) -> dict[str, set[int]]:
    """Return the numbers of the samples in the folder of each class. Hidden files are left out. Raises UserError for a
    missing folder of a class, another file, or more than a million files."""
    found: dict[str, set[int]] = {}
    for name in classes:
        folder = root / name
        if not folder.is_dir():
            raise UserError(
                f"{root} has no folder '{name}'", hint=f"sort into the folders {', '.join(classes)}"
            )
        found[name] = set()
        for path in folder.iterdir():
            match = _NUMBER.fullmatch(path.name)
            if match is None and not path.name.startswith("."):
                raise UserError(
                    f"{path} is no sample of the generator",
                    hint="the files are named by the number of the sample, such as 000012.png: move them, unchanged",
                )
            if match is not None:
                found[name].add(int(match[1]))
            if len(found[name]) > _MOST:
                raise UserError(f"{folder} has more than {_MOST:,} files")
    return found


def preflight(options: GradedOptions) -> Iterator[str]:
    """Yield the reason why the folder cannot be written or read, if any."""
    root = options.sorted
    if root is None or not root.exists():
        return
    if not root.is_dir():
        yield f"{root} is no folder"
    elif any(root.iterdir()) and not (root / UNSORTED).is_dir():
        yield f"{root} has files, but no folder '{UNSORTED}' of samples: name a new folder, which is then written"


def digest(options: GradedOptions) -> Mapping[str, list[int]]:
    """Return which sample a person has sorted into which folder."""
    root = options.sorted
    if root is None or not root.is_dir():
        return {}
    folders = sorted(path.name for path in root.iterdir() if path.is_dir() and path.name != UNSORTED)
    return {name: sorted(numbers) for name, numbers in sorted_numbers(root, folders).items()}
