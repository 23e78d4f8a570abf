"""A few images of each class: as a PNG sheet, and as coloured half blocks in a terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.text import Text

from derm_bench.errors import UserError
from derm_bench.inspection.inspection import SIDE, Inspection
from derm_bench.plain_text import printable
from derm_bench.protocols import RawImage
from derm_bench.report.samples import Row, row_sheet

PER_CLASS, MOST_CLASSES = 8, 40
IN_TERMINAL, CLASSES_IN_TERMINAL, CELLS = 5, 8, 16
"""In a terminal: images per class, classes, and columns per image (of which each holds two pixels)."""
LEAST_WIDTH = 60


def samples_of(found: Inspection, per_class: int, most_classes: int) -> dict[str, np.ndarray]:
    """The first images of each class that can be read, evenly spaced in the order of the data set: uint8
    [n,SIDE,SIDE,3], by class. Their middle is shown."""
    ids: dict[str, list[str]] = defaultdict(list)
    for name, label in zip(found.description.ids, found.description.labels, strict=True):
        ids[label].append(name)
    made = {}
    for label in found.description.classes[:most_classes]:
        names = ids[label][:: max(1, len(ids[label]) // per_class)][:per_class]
        raw = [one for one in found.dataset.read(names) if isinstance(one, RawImage)]
        if raw:
            made[label] = np.stack([_square(one.pixels) for one in raw])
    return made


def _square(pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = Image.fromarray(pixels[top : top + side, left : left + side])
    return np.asarray(middle.resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0))


def write_sheet(samples: Mapping[str, np.ndarray], counts: Mapping[str, int], title: str, path: Path) -> None:
    """Write a PNG with one row per class. Raises UserError if there are no images, or if the file exists."""
    if not samples:
        raise UserError("no image can be read, so that there is no sheet to write")
    if path.exists():
        raise UserError(f"{path} exists and is not written over", hint="give --sheet another name")
    rows = [
        Row(images.transpose(0, 3, 1, 2), printable(f"{label} ({counts[label]:,})"))
        for label, images in samples.items()
    ]
    row_sheet(rows, printable(title), "some images of each class", path)


def shows_pictures(console: Console) -> bool:
    """Whether a console is a terminal of many colours that is wide enough for pictures."""
    many = console.color_system in ("256", "truecolor", "windows")
    return console.is_terminal and many and console.width >= LEAST_WIDTH


def in_terminal(samples: Mapping[str, np.ndarray], width: int) -> list[Text]:
    """The samples as lines of half blocks, at most `width` columns wide: the name of each class, then its images."""
    lines = []
    number = max(1, min(IN_TERMINAL, width // (CELLS + 1)))
    for label, images in samples.items():
        lines.append(Text(printable(label), style="bold"))
        small = [_shrunk(image) for image in images[:number]]
        lines += [_line(small, row) for row in range(0, CELLS, 2)]
    return lines


def _shrunk(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((CELLS, CELLS), Image.Resampling.LANCZOS))


def _line(images: Sequence[np.ndarray], row: int) -> Text:
    """Two rows of pixels of all images: the upper one in the colour of the characters, the lower one behind them."""
    line = Text(no_wrap=True)
    for image in images:
        for upper, lower in zip(image[row].tolist(), image[row + 1].tolist(), strict=True):
            line.append("▀", style=f"rgb({','.join(map(str, upper))}) on rgb({','.join(map(str, lower))})")
        line.append(" ")
    return line
