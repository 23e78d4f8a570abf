"""Embeds the sheets of images in samples/ in a page: chooses their headings, their order and how many fit.

The content of a sheet is read from samples/index.json and not from the name of its file.
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
from derm_bench.rundir.samples import Sheet, read_sheet

SHOWS = {
    "last": "end of training",
    "snapshots": "over training",
    "neighbours": "nearest real images",
    "copies": "most like copies",
    "interpolation": "between samples",
    "fitted_on": "what its network was fitted on",
    "preprocessing": "",
}
"""The content of sheets in words, the most informative first."""

SHEET_WIDTH = 900
PAGE_BYTES = 24_000_000  # maximum size of all sheets in report.html
FILE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Picture:
    """A sheet on a page, with the heading of its section, its label, and `real`: whether it shows real images."""

    path: Path
    heading: str
    label: str
    rank: int
    preprocessing: bool
    real: bool


def pictures(data: ReportData) -> list[Picture]:
    """All sheets of a run, ordered by data set, strategy and class as the matrix has them, by seed, and then by how
    informative they are."""
    datasets = unique([row["dataset"] for row in data.results] + [sheet.dataset for sheet in data.sheets])
    several = len(unique(sheet.dataset for sheet in data.sheets)) > 1
    strategies, classes = _places(data.strategies), _places(data.classes)

    def place(sheet: Sheet) -> tuple[object, ...]:
        strategy, name = sheet.strategy or "", sheet.class_name
        no_strategy = sheet.strategy is None
        return (
            no_strategy,
            datasets.index(sheet.dataset),
            (strategies.get(strategy, len(strategies)), strategy),
            (classes.get(name, len(classes)), name),
            sheet.seed or 0,
            _rank(sheet),
        )

    ordered = sorted(data.sheets, key=place)
    return [_picture(sheet, data.files.folder / "samples", several) for sheet in ordered]


def _places(names: Sequence[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


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
    """The data: URIs of the sheets on a page, in order. If all sheets together exceed `PAGE_BYTES`, the least
    informative ones are omitted. Raises UserError for a file that is not a PNG, is a link, or is too large."""
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
    """The sheets grouped by heading, for the template of the page."""
    groups: dict[str, list[dict[str, str]]] = {}
    for picture, uri in uris.items():
        groups.setdefault(picture.heading, []).append({"label": picture.label, "uri": uri})
    return [{"name": name, "sheets": own} for name, own in groups.items()]


def _uri(path: Path) -> str:
    try:
        content = read_bytes(path, FILE_BYTES)
    except (OSError, ValueError) as error:
        raise UserError(f"not a sheet of images: {error}", file=path) from error
    sheet = read_sheet(content, path)
    if sheet.width > SHEET_WIDTH:
        sheet = sheet.resize((SHEET_WIDTH, max(1, round(sheet.height * SHEET_WIDTH / sheet.width))))
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=88, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
