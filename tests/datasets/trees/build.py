"""How a tree is written: pictures that differ, tables in any dialect, and the record of what a reader must find."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDES = (18, 24)


@dataclass
class Tree:
    """A data set on disk, and what its reader must find in it.

    `labels` by id; `groups` the sets of ids that belong together, for those of more than one image (None: no groups
    known); `given` the split by id; `attributes` some of the values, by name and id. `spoil` damages the tree as its
    kind can be damaged (a column taken away), and returns a pattern of what the error must say.
    """

    options: dict[str, Any]
    labels: dict[str, str]
    groups: list[set[str]] | None = None
    given: dict[str, str] | None = None
    attributes: dict[str, dict[str, Any]] = field(default_factory=dict)
    masks: bool = False
    spoil: Callable[[], str] | None = None


def picture(path: Path, key: str = "") -> None:
    """A small image of noise that depends on `key`, by default the stem of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32((key or path.stem).encode()))
    Image.fromarray(rng.integers(0, 256, (*SIDES, 3), dtype=np.uint8)).save(path)


def pictures(folder: Path, names: Iterable[str], suffix: str = ".jpg") -> None:
    for name in names:
        picture(folder / f"{name}{suffix}")


def mask(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(SIDES, np.uint8)
    pixels[4:12, 6:18] = 255
    image = Image.fromarray(pixels)
    image.convert("1").save(path) if path.suffix == ".pbm" else image.save(path)


def table(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    separator: str = ",",
    encoding: str = "utf-8",
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def one_hot(codes: Sequence[str], labels: Mapping[str, str]) -> list[list[str]]:
    """Rows of a ground truth as the ISIC challenges write them: the id, and 1.0 in the column of the label."""
    return [[name, *("1.0" if code == label else "0.0" for code in codes)] for name, label in labels.items()]


def without(file: Path, column: str) -> Callable[[], str]:
    """Renames a column of a table, so that the one that is needed is missing."""

    def spoil() -> str:
        text = file.read_bytes().decode("utf-8-sig")
        first, rest = text.split("\n", 1)
        assert column in first
        file.write_bytes(f"{first.replace(column, 'another', 1)}\n{rest}".encode())
        return rf"(?i){column}"

    return spoil


def isic(first: int, count: int) -> list[str]:
    return [f"ISIC_{number:07d}" for number in range(first, first + count)]
