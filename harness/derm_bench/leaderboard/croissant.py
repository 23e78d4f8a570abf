"""croissant.json of a board: its files, their digests and the columns of its tables in the Croissant format 1.0.

Croissant (https://docs.mlcommons.org/croissant/docs/croissant-spec.html) is JSON-LD after schema.org that describes
data sets, so that search engines find them and programs load them. Its paths are relative to the folder of the board.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from derm_bench.leaderboard.entry import LIMITS, entry_folders
from derm_bench.leaderboard.problems import Verified
from derm_bench.leaderboard.task import BOARD, ENTRIES, SPLIT, SPLIT_BYTES, Board
from derm_bench.licences import page_of
from derm_bench.rundir.files import TABLE_BYTES, opened
from derm_bench.rundir.schema import Column, Dtype

FILE = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context of Croissant 1.0, as its specification has it."""
_TYPES: Mapping[Dtype, str] = {"text": "sc:Text", "integer": "sc:Integer", "real": "sc:Float"}
_FORMATS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".yaml": "application/yaml",
    ".parquet": "application/vnd.apache.parquet",
    ".md": "text/markdown",
    ".html": "text/html",
}
_SPLIT_COLUMNS = (
    Column("split_seed", "integer", "", "Seed of the split."),
    Column("image_id", "text", "", "Id of the image in its data set."),
    Column("group", "text", "", "Lesion or patient of the image."),
    Column("label", "text", "", "Class of the image."),
    Column("split", "text", "", "`train`, `val`, `test` or `reserve`."),
)


def metadata(board: Board, found: Verified, columns: Sequence[Column], table: str) -> dict[str, Any]:
    """Return the content of croissant.json of a built board.

    table: the name of its table of rows. columns: the columns of that table in order. found: what was verified. The
    version is that of the layout of boards, then the number of entries.
    """
    task = board.task
    files = (table, SPLIT, BOARD, *_entry_files(board))
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": task.name,
        "description": _description(board, found),
        "version": f"{task.board}.{found.entries}.0",
        "inLanguage": "en",
        "isLiveDataset": True,
        "keywords": ["leaderboard", "skin lesions", "synthetic images", "classification", task.dataset.name],
        "creator": {"@type": "sc:Organization", "name": _creators(board)},
    }
    if task.dataset.licence:
        document["license"] = page_of(task.dataset.licence) or task.dataset.licence
    if task.dataset.citation:
        document["citeAs"] = task.dataset.citation
    document["distribution"] = [_file_object(board.folder, name) for name in files]
    rows = f"One row per entry, strategy and classifier, the best first, by {task.metric}."
    document["recordSet"] = [
        _record_set("rows", rows, table, columns),
        _record_set("split", "The part of every image, by split seed.", SPLIT, _SPLIT_COLUMNS),
    ]
    return document


def _description(board: Board, found: Verified) -> str:
    task = board.task
    return (
        f"A leaderboard of classifiers of {', '.join(task.classes)} on {task.dataset.name} at {task.dataset.size} px: "
        "does training on synthetic images help? "
        f"{found.entries} entries, whose scores are computed again from their predictions on the test images of "
        f"split.csv, under the protocol {task.protocol}, version {task.protocol_version}. Columns that begin with "
        "self_reported_ are stated by the entries alone. No image of the data set is part of the board."
    )


def _creators(board: Board) -> str:
    return f"The contributors of the entries of {board.task.name}"


def _entry_files(board: Board) -> Iterator[str]:
    """The tables, predictions and manifests of all entries, relative to the folder of the board."""
    for folder in entry_folders(board):
        yield from (f"{ENTRIES}/{folder.name}/{name}" for name in LIMITS)


def _file_object(folder: Path, name: str) -> dict[str, Any]:
    size, digest = _measured(folder / name)
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{size} B",
        "encodingFormat": _FORMATS[Path(name).suffix],
        "sha256": digest,
    }


def _measured(path: Path) -> tuple[int, str]:
    with (
        opened(path, max(SPLIT_BYTES, TABLE_BYTES)) as descriptor,
        os.fdopen(descriptor, "rb", closefd=False) as file,
    ):
        return os.fstat(descriptor).st_size, hashlib.file_digest(file, "sha256").hexdigest()


def _record_set(name: str, description: str, file: str, columns: Sequence[Column]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "field": [_field(name, file, column) for column in columns],
    }


def _field(record_set: str, file: str, column: Column) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{column.name}",
        "name": column.name,
        "description": re.sub(r"`", "", column.meaning),
        "dataType": _TYPES[column.dtype],
        "source": {"fileObject": {"@id": file}, "extract": {"column": column.name}},
    }
