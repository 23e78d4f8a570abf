"""Sheets of images: a header with the class, then the images in rows, with labels beside and captions below them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

INK, QUIET, PAPER, STRIP = (24, 24, 24), (96, 96, 96), (255, 255, 255), (236, 238, 241)
GAP = 3
LINE = 18  # height of a line of small text, in pixels


def label_grid(
    images: np.ndarray, title: str, subtitle: str, path: Path, columns: int = 8, scale: float | None = None
) -> None:
    """Writes a PNG contact sheet: `title` (the class) and `subtitle` on top, then the images row by row.

    images: uint8 [n,3,S,S], n >= 1. scale: the side of a tile divided by S; by default a sheet is about 800 pixels
    wide. Raises ValueError for another shape or dtype."""
    if not len(images):
        raise ValueError("a contact sheet needs at least one image")
    columns = min(columns, len(images))
    rows = [Row(images[start : start + columns]) for start in range(0, len(images), columns)]
    row_sheet(rows, title, subtitle, path, scale=scale)


@dataclass(frozen=True)
class Row:
    """A row of a sheet: images uint8 [3,S,S] of any sizes, a label beside them (`700 updates`), and a short caption
    below each."""

    images: Sequence[np.ndarray] | np.ndarray
    label: str = ""
    captions: Sequence[str] = ()


def row_sheet(
    rows: Sequence[Row],
    title: str,
    subtitle: str,
    path: Path,
    *,
    heads: Sequence[str] = (),
    note: str = "",
    scale: float | None = None,
) -> None:
    """Writes a PNG sheet of rows: `title` and `subtitle` on top, then `heads` (one per column), the rows with their
    labels and captions, and `note` below.

    All tiles have the size of the first: `scale` times its image, by default such that a sheet is about 800 pixels
    wide. Raises ValueError if there is no image, or if one is not uint8 [3,S,S].
    """
    if not any(len(row.images) for row in rows):
        raise ValueError("a sheet needs at least one row of images")
    for row in rows:
        _check(row.images)
    font, small = _font(13), _font(11)
    columns = max(len(heads), *(len(row.images) for row in rows))
    side = _side(next(row.images[0] for row in rows if len(row.images)), columns, scale)
    labels = max(font.getlength(row.label) for row in rows)
    margin = int(labels) + 16 if labels else 0
    head = LINE * bool(heads)
    heights = [side + GAP + LINE * any(row.captions) for row in rows]
    width = max(margin + columns * (side + GAP) + GAP, 260)
    lines = _wrapped(note, width - 16, 12)
    foot = LINE * len(lines) + 4 * bool(lines)
    sheet, draw, top = _page(width, head + sum(heights) + GAP + foot, title, subtitle)
    lefts = [margin + GAP + column * (side + GAP) for column in range(columns)]
    for left, word in zip(lefts, heads, strict=False):
        draw.text((left, top + 3), _fit(draw, word, side, 12), fill=INK, font=_font(12))
    y = top + head + GAP
    for row, height in zip(rows, heights, strict=True):
        draw.text((8, y + side // 2), row.label, fill=QUIET, font=font, anchor="lm")
        for left, image in zip(lefts, row.images, strict=False):
            sheet.paste(_tile(image, side), (left, y))
        for left, words in zip(lefts, row.captions, strict=False):
            draw.text((left, y + side + 1), _fit(draw, words, side, 11), fill=QUIET, font=small)
        y += height
    for line in lines:
        draw.text((8, y + 3), _fit(draw, line, width - 16, 12), fill=QUIET, font=_font(12))
        y += LINE
    sheet.save(path)


def _check(images: Iterable[np.ndarray]) -> None:
    for image in images:
        if image.ndim != 3 or image.shape[0] != 3 or str(image.dtype) != "uint8":
            raise ValueError(f"an image must be uint8 [3,S,S], not {image.dtype} {image.shape}")


def _side(image: np.ndarray, columns: int, scale: float | None) -> int:
    size = int(image.shape[-1])
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


def _wrapped(words: str, width: int, size: int) -> list[str]:
    """The lines of a text that is broken between words so that no line is wider than `width`."""
    font = _font(size)
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _fit(draw: ImageDraw.ImageDraw, words: str, width: int, size: int) -> str:
    font, line = _font(size), " ".join(words.split())
    while line and draw.textlength(line, font=font) > width:
        line = line.rstrip("…")[:-1] + "…" if len(line) > 1 else ""
    return line
