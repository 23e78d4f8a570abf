"""The sheets of images in a run directory's samples/: what each shows, by its name, and how a page carries them.

    <strategy>__<class>__<what>__g<seed>.png    what a generator makes; <dataset>__ first where there are several
    preprocess__<dataset>__<class>.png          real images after each step of preprocessing

Sheets of `neighbours` and of preprocessing hold real images, under the licence of their data set.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PREPROCESSED = "preprocess__"
SHOWS = {
    "last": "end of training",
    "snapshots": "over training",
    "neighbours": "nearest real images",
    "interpolation": "between samples",
}
"""What sheets of a generator show, the most telling first."""

SHEET_WIDTH = 900
PAGE_BYTES = 24_000_000  # of sheets in report.html


@dataclass(frozen=True)
class Sheet:
    """A picture in samples/: `group` is the heading that it stands under, `label` its own; `real`: it holds real
    images."""

    path: Path
    group: str
    label: str
    rank: int
    preprocessing: bool = False
    real: bool = False


def sheets(folder: Path) -> list[Sheet]:
    """All pictures of a folder, by name, and of one class and seed the most telling first; none where there is no
    folder."""
    found = [_sheet(path) for path in sorted(folder.glob("*.png"))]
    return sorted(found, key=lambda sheet: (_without_what(sheet.path.stem), sheet.rank))


def _without_what(stem: str) -> list[str]:
    return [part for part in stem.split("__") if part not in SHOWS]


def _sheet(path: Path) -> Sheet:
    if path.stem.startswith(PREPROCESSED) and not re.search(r"__g(\d+|None)$", path.stem):
        dataset, _, label = path.stem.removeprefix(PREPROCESSED).partition("__")
        return Sheet(path, dataset, label, 0, preprocessing=True, real=True)
    group, label = sample_name(path.stem)
    shown = [what for what in SHOWS if f"__{what}" in path.stem]
    rank = list(SHOWS).index(shown[-1]) if shown else 0
    return Sheet(path, group, label, rank, real="neighbours" in shown)


def sample_name(stem: str) -> tuple[str, str]:
    """`dcgan__mel__g0__700` as (`dcgan`, `mel, seed 0, 700 updates`): the generator, and what the sheet shows."""
    parts = stem.split("__")
    seed = next((p[1:] for p in parts if re.fullmatch(r"g\d+", p)), None)
    steps = [p for p in parts if p.isdigit() or p in SHOWS]
    names = [p for p in parts if p not in steps and not re.fullmatch(r"g(\d+|None)", p)]
    words = [names[-1]] if len(names) > 1 else []
    words += [f"seed {seed}"] if seed is not None else []
    words += [SHOWS.get(step, f"{step} updates") for step in steps]
    return ", ".join(names[:-1] or names), ", ".join(words)


def carried(found: Sequence[Sheet]) -> dict[Sheet, str]:
    """The sheets that a page carries, in their order, as data: URIs: as many as `PAGE_BYTES` hold. Where there are
    more, what tells least is left out."""
    uris: dict[Sheet, str] = {}
    left = PAGE_BYTES
    for sheet in sorted(found, key=lambda sheet: sheet.rank):
        uri = _uri(sheet.path)
        left -= len(uri)
        if left < 0:
            break
        uris[sheet] = uri
    return {sheet: uris[sheet] for sheet in found if sheet in uris}


def grouped(uris: Mapping[Sheet, str]) -> list[dict[str, object]]:
    """Sheets under their headings, for the page's template."""
    groups: dict[str, list[dict[str, str]]] = {}
    for sheet, uri in uris.items():
        groups.setdefault(sheet.group, []).append({"label": sheet.label, "uri": uri})
    return [{"name": name, "sheets": own} for name, own in groups.items()]


def _uri(path: Path) -> str:
    from PIL import Image

    with Image.open(path) as image:
        picture = image.convert("RGB")
    if picture.width > SHEET_WIDTH:
        picture = picture.resize((SHEET_WIDTH, round(picture.height * SHEET_WIDTH / picture.width)))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
