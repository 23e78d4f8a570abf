"""Sheets of synthetic images in an entry: re-encoded, so that nothing but pixels is passed on, and small."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from derm_bench.leaderboard.entry import MOST_SAMPLES, SAMPLE_BYTES, SheetOf
from derm_bench.rundir.files import read_bytes, write_bytes
from derm_bench.rundir.samples import Sheet, read_sheet

SOURCE_BYTES = 64 * 2**20
WIDTH = 640
"""The width of a sheet in pixels, if it is not made smaller to fit into `SAMPLE_BYTES`."""
QUALITY = 90
"""Of the compression, which is not lossless."""


def chosen(sheets: Sequence[Sheet], dataset: str, keep: Callable[[Sheet], bool]) -> list[Sheet]:
    """The sheets of an entry: the end of the fit of each generator and class, of its first seed. Sheets of real images
    are never among them."""
    found: dict[tuple[Any, ...], Sheet] = {}
    for sheet in sorted(sheets, key=lambda sheet: (sheet.strategy or "", sheet.class_name, sheet.seed or 0)):
        if sheet.real or sheet.shows != "last" or sheet.dataset != dataset or sheet.strategy is None:
            continue
        if keep(sheet):
            found.setdefault((sheet.strategy, sheet.class_name), sheet)
    return list(found.values())[:MOST_SAMPLES]


def write_sheets(sheets: Sequence[Sheet], source: Path, target: Path) -> Iterator[SheetOf]:
    """Re-encode sheets of the folder `source` into `target`, and yield what each shows. Raises UserError for a file
    that is no PNG, is a link, or is too large."""
    if sheets:
        target.mkdir()
    for number, sheet in enumerate(sheets):
        name = f"{number:03d}.webp"
        write_bytes(
            encoded(read_bytes(source / sheet.file, SOURCE_BYTES), source / sheet.file), target / name
        )
        yield SheetOf.model_validate(
            {
                "file": name,
                "strategy": sheet.strategy,
                "generator": sheet.generator or "",
                "class": sheet.class_name,
                "seed": sheet.seed,
            }
        )


def encoded(content: bytes, path: Path) -> bytes:
    """An image as a new WebP of at most `SAMPLE_BYTES`, for which it is made smaller if it has to be. A WebP takes a
    quarter of a PNG, and a board keeps its sheets for ever, in its entries and on its page. Raises UserError if
    `content` is no PNG, or has far too many pixels."""
    from PIL import Image

    plain = read_sheet(content, path)
    width = min(WIDTH, plain.width)
    while True:
        height = max(1, round(plain.height * width / plain.width))
        small = plain if width == plain.width else plain.resize((width, height), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.convert("RGB").save(buffer, "WEBP", quality=QUALITY, method=6)
        if buffer.tell() <= SAMPLE_BYTES or width <= 64:
            return buffer.getvalue()
        width = int(width * 0.8)
