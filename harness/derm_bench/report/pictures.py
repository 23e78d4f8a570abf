"""How a page carries the sheets of images in samples/: under which heading each stands, and how many there is room for.

What a sheet shows is read in samples/index.json, never in the name of its file.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from derm_bench.errors import UserError
from derm_bench.report.data import ReportData, unique
from derm_bench.rundir.files import read_bytes
from derm_bench.rundir.samples import Sheet

SHOWS = {
    "last": "end of training",
    "snapshots": "over training",
    "neighbours": "nearest real images",
    "interpolation": "between samples",
    "preprocessing": "",
}
"""What sheets show, in words, the most telling first."""

SHEET_WIDTH = 900
PAGE_BYTES = 24_000_000  # of sheets in report.html
FILE_BYTES = 64 * 2**20
PIXELS = 100_000_000  # of one sheet


@dataclass(frozen=True)
class Picture:
    """A sheet on a page: `heading` is what it stands under, `label` its own; `real`: real images are on it."""

    path: Path
    heading: str
    label: str
    rank: int
    preprocessing: bool
    real: bool


def pictures(data: ReportData) -> list[Picture]:
    """All sheets of a run, by heading, class and seed; of one class and seed the most telling first."""
    several = len(unique(sheet.dataset for sheet in data.sheets)) > 1
    ordered = sorted(
        data.sheets,
        key=lambda sheet: (_heading(sheet, several), sheet.class_name, sheet.seed or 0, _rank(sheet)),
    )
    return [_picture(sheet, data.files.folder / "samples", several) for sheet in ordered]


def _picture(sheet: Sheet, folder: Path, several: bool) -> Picture:
    words = [sheet.class_name] + [f"seed {sheet.seed}"] * (sheet.seed is not None)
    words.append(SHOWS[sheet.shows] if sheet.step is None else f"{sheet.step} updates")
    return Picture(
        folder / sheet.file,
        _heading(sheet, several),
        ", ".join(filter(None, words)),
        _rank(sheet),
        sheet.shows == "preprocessing",
        sheet.real,
    )


def _heading(sheet: Sheet, several: bool) -> str:
    if sheet.strategy is None:
        return sheet.dataset
    return f"{sheet.dataset}, {sheet.strategy}" if several else sheet.strategy


def _rank(sheet: Sheet) -> int:
    return list(SHOWS).index(sheet.shows)


def carried(found: Sequence[Picture]) -> dict[Picture, str]:
    """The sheets that a page carries, in their order, as data: URIs: as many as `PAGE_BYTES` hold. Where there are
    more, what tells least is left out. Raises UserError for a file that is no PNG, a link, or too large."""
    uris: dict[Picture, str] = {}
    left = PAGE_BYTES
    for picture in sorted(found, key=lambda picture: picture.rank):
        uri = _uri(picture.path)
        left -= len(uri)
        if left < 0:
            break
        uris[picture] = uri
    return {picture: uris[picture] for picture in found if picture in uris}


def grouped(uris: Mapping[Picture, str]) -> list[dict[str, object]]:
    """Sheets under their headings, for the page's template."""
    groups: dict[str, list[dict[str, str]]] = {}
    for picture, uri in uris.items():
        groups.setdefault(picture.heading, []).append({"label": picture.label, "uri": uri})
    return [{"name": name, "sheets": own} for name, own in groups.items()]


def _uri(path: Path) -> str:
    from PIL import Image

    try:
        content = read_bytes(path, FILE_BYTES)
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if image.width * image.height > PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels are more than are read")
            sheet = image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"no sheet of images: {error}", file=path) from error
    if sheet.width > SHEET_WIDTH:
        sheet = sheet.resize((SHEET_WIDTH, max(1, round(sheet.height * SHEET_WIDTH / sheet.width))))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=88, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
