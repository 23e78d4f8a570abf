"""The index that a drawing stage writes next to its sheets, index.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from derm_bench.filenames import FileNames

INDEX = "index.json"
Shows = Literal["last", "snapshots", "neighbours", "copies", "interpolation", "fitted_on", "preprocessing"]
"""The content of a sheet: samples at the end of the fit, samples over training, samples with their nearest real images,
the samples that look most like copies of training images, interpolations between two samples, samples of another
generator that a network of this one was fitted on, or real images after each step of preprocessing."""


class SheetIndex:
    """The index of the sheets that a drawing stage writes into a folder.

    sheets = SheetIndex(context.out)
    label_grid(images, ..., path=sheets.add("mel", "last"))
    sheets.write()
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = FileNames()
        self._entries: list[dict[str, Any]] = []

    def add(self, class_name: str, shows: Shows, *, real: bool = False, licence: str = "") -> Path:
        """Add the sheet of a class to the index and return the path to write it to."""
        name = self._names.of(class_name, shows, suffix=".png")
        self._entries.append(
            {
                "file": name,
                "class": class_name,
                "shows": shows,
                "step": None,
                "real": real,
                "licence": licence,
            }
        )
        return self._folder / name

    def write(self) -> None:
        """Write index.json."""
        (self._folder / INDEX).write_text(json.dumps(self._entries, indent=1), encoding="utf-8")
