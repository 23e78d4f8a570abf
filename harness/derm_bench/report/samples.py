"""Contact sheets of images: a strip that names the class, then the images in rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

INK, QUIET, PAPER, STRIP = (24, 24, 24), (96, 96, 96), (255, 255, 255), (236, 238, 241)
GAP = 3


def label_grid(
    images: np.ndarray, title: str, subtitle: str, path: Path, columns: int = 8, scale: float | None = None
) -> None:
    """Writes a PNG contact sheet: `title` (the class) and `subtitle` on top, then the images by rows.

    images: uint8 [n,3,S,S], n >= 1. scale: side of a tile over S; default so that a sheet is about 800 pixels
    wide. Raises ValueError for another shape or dtype.
    """
    _check(images)
    columns = min(columns, len(images))
    side = _side(images, columns, scale)
    tiles = [_tile(image, side) for image in images]
    width = max(columns * (side + GAP) + GAP, 260)
    sheet, _, top = _page(width, -(-len(tiles) // columns) * (side + GAP) + GAP, title, subtitle)
    for position, tile in enumerate(tiles):
        row, column = divmod(position, columns)
        sheet.paste(tile, (GAP + column * (side + GAP), top + GAP + row * (side + GAP)))
    sheet.save(path, optimize=True)


def snapshot_sheet(
    rows: Sequence[tuple[str, np.ndarray]],
    title: str,
    subtitle: str,
    path: Path,
    columns: int = 8,
    scale: float | None = None,
) -> None:
    """Writes a PNG sheet of a generator over time: a row a snapshot, its label (`700 updates`) beside it,
    the same noise in every row, so that a column shows one image growing.

    rows: (label, uint8 [n,3,S,S]), the first `columns` images are drawn. Raises ValueError without a row or
    for another shape or dtype.
    """
    if not rows:
        raise ValueError("a snapshot sheet needs at least one row")
    for _, images in rows:
        _check(images)
    columns = (
        min(columns, *(len(images) for _, images in rows)) if len(rows) > 1 else min(columns, len(rows[0][1]))
    )
    side = _side(rows[0][1], columns, scale)
    font = _font(13)
    margin = int(max(font.getlength(label) for label, _ in rows)) + 16
    width = max(margin + columns * (side + GAP) + GAP, 260)
    sheet, draw, top = _page(width, len(rows) * (side + GAP) + GAP, title, subtitle)
    for row, (label, images) in enumerate(rows):
        y = top + GAP + row * (side + GAP)
        draw.text((8, y + side // 2), label, fill=QUIET, font=font, anchor="lm")
        for column, image in enumerate(images[:columns]):
            sheet.paste(_tile(image, side), (margin + GAP + column * (side + GAP), y))
    sheet.save(path, optimize=True)


def _check(images: np.ndarray) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or str(images.dtype) != "uint8" or not len(images):
        raise ValueError(f"images must be uint8 [n,3,S,S] with n >= 1, not {images.dtype} {images.shape}")


def _side(images: np.ndarray, columns: int, scale: float | None) -> int:
    size = int(images.shape[-1])
    if scale is not None:
        return max(1, round(size * scale))
    return max(24, min(2 * size, 800 // columns, 256))


def _tile(image: np.ndarray, side: int) -> Image.Image:
    from PIL import Image

    picture = Image.fromarray(image.transpose(1, 2, 0).copy())
    smooth = Image.Resampling.LANCZOS if side < picture.width else Image.Resampling.BICUBIC
    return picture if picture.width == side else picture.resize((side, side), smooth)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _page(width: int, height: int, title: str, subtitle: str) -> tuple[Image.Image, ImageDraw.ImageDraw, int]:
    from PIL import Image, ImageDraw

    top = 46 if subtitle else 28
    sheet = Image.new("RGB", (width, top + height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((0, 0, width, top - 1), fill=STRIP)
    draw.text((8, 5), _fit(draw, title, width - 16, 16), fill=INK, font=_font(16))
    draw.text((8, 26), _fit(draw, subtitle, width - 16, 12), fill=QUIET, font=_font(12))
    return sheet, draw, top


def _fit(draw: ImageDraw.ImageDraw, words: str, width: int, size: int) -> str:
    font, line = _font(size), " ".join(words.split())
    while line and draw.textlength(line, font=font) > width:
        line = line.rstrip("…")[:-1] + "…" if len(line) > 1 else ""
    return line
