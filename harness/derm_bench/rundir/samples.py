"""samples/: the sheets of images that stages drew, and index.json, which describes each sheet."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import StringConstraints, TypeAdapter, ValidationError

from derm_bench.errors import UserError
from derm_bench.filenames import FileNames
from derm_bench.rundir.files import copy, emptied, read_json, write_json
from derm_bench.rundir.frames import LONGEST_NAME
from derm_bench.rundir.planned import RunStages
from derm_bench.rundir.records import Records
from derm_bench.rundir.sheet_index import INDEX, Shows

if TYPE_CHECKING:
    from PIL import Image

SHEETS = 50_000
"""The maximum number of sheets in an index."""
PIXELS = 100_000_000
"""The maximum number of pixels of a sheet."""

Name = Annotated[str, StringConstraints(max_length=LONGEST_NAME)]
File = Annotated[str, StringConstraints(max_length=LONGEST_NAME, pattern=r"^[^/\\\x00]+\.png$")]


@dataclass(frozen=True)
class Sheet:
    """One sheet of images, with the keys of `derm_bench.rundir.schema.INDEX_KEYS` as fields (`class` is
    `class_name`)."""

    file: File
    shows: Shows
    dataset: Name
    strategy: Name | None
    generator: Name | None
    class_name: Name
    seed: int | None
    step: int | None
    real: bool
    licence: Annotated[str, StringConstraints(max_length=10_000)]


@functools.cache
def _adapter() -> TypeAdapter[list[Sheet]]:
    return TypeAdapter(list[Sheet])


def write_samples(stages: RunStages, records: Records, folder: Path) -> None:
    """Replace the folder samples/ with the sheets of all generators and of preprocessing."""
    emptied(folder)
    names, entries = FileNames(), []
    several = len({cell.at.dataset for cell in stages.cells} | {fit.at.dataset for fit in stages.fits}) > 1
    for source, sheet in _sheets(stages, records):
        if sheet["shows"] == "preprocessing":
            labels = ["preprocess", sheet["dataset"], sheet["class"]]
        else:
            labels = [sheet["dataset"]] * several
            labels += [sheet["strategy"], sheet["class"], sheet["shows"], f"g{sheet['seed']}"]
        name = names.of(*labels, suffix=".png")
        copy(source, folder / name)
        entries.append({"file": name} | sheet)
    write_json(entries, folder / INDEX)


def _sheets(stages: RunStages, records: Records) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield, for every sheet, the picture in the store and its index entry without a file name."""
    for label, key in stages.sheets.items():
        head: dict[str, Any] = {"dataset": label, "strategy": None, "generator": None, "seed": None}
        yield from _drawn(records, key, head)
    for fit in stages.fits:
        head = {
            "dataset": fit.at.dataset,
            "strategy": fit.at.strategy,
            "generator": fit.at.generator,
            "seed": fit.at.generator_seed,
        }
        for key in fit.pictures:
            yield from _drawn(records, key, head)


def _drawn(records: Records, key: str, head: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    folder = records.folder(key)
    if folder is None:
        return
    for entry in read_json(folder / INDEX):
        yield (
            folder / entry["file"],
            {
                "shows": entry["shows"],
                **head,
                "class": entry["class"],
                "step": entry["step"],
                "real": entry["real"],
                "licence": entry["licence"],
            },
        )


def read_index(folder: Path) -> list[Sheet]:
    """Return the sheets that the index of a samples/ folder lists; [] if there is no index.

    Raises UserError for an invalid index, for a file name that leads outside the folder, and for too many sheets.
    """
    path = folder / INDEX
    try:
        document = read_json(path)
    except FileNotFoundError:
        return []
    if not isinstance(document, list) or len(document) > SHEETS:
        raise UserError(f"expected a list of at most {SHEETS} sheets", file=path)
    renamed = [
        {("class_name" if name == "class" else name): value for name, value in entry.items()}
        if isinstance(entry, dict)
        else entry
        for entry in document
    ]
    try:
        return _adapter().validate_python(renamed)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UserError(f"entry {first['loc'][0]}: {first['msg']}", file=path) from error


def read_sheet(content: bytes, path: Path) -> Image.Image:
    """Return the picture of a sheet, RGB. Raises UserError, which names `path`, if `content` is no PNG or has more than
    `PIXELS` pixels."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if image.width * image.height > PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels are too many")
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"not a sheet of images: {error}", file=path) from error
