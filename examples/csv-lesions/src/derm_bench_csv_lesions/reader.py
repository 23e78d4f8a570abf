"""Reads a table and the images it names. Imports no torch: the planner calls `describe` and `fingerprint` too."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from derm_bench.api import (
    DatasetDescription,
    RawImage,
    Task,
    Unreadable,
    UnreadableImage,
    UserError,
    did_you_mean,
    file_digests,
    read_image,
    read_mask,
)
from derm_bench_csv_lesions import CsvLesionsOptions


class CsvLesions:
    """Ids are the file names of the table."""

    def __init__(self, options: CsvLesionsOptions, task: Task) -> None:
        self.options = options

    def describe(self, options: CsvLesionsOptions) -> DatasetDescription:
        """Images of one lesion form a group, which is never divided by a split."""
        rows, columns = read_table(options), options.columns
        return DatasetDescription(
            ids=[row[columns.image] for row in rows],
            labels=[row[columns.label] for row in rows],
            classes=sorted({row[columns.label] for row in rows}),
            groups=[row[columns.group] for row in rows] if columns.group else None,
            attributes={name: _values([row[name] for row in rows]) for name in columns.attributes},
            masks=options.masks is not None,
            licence=options.licence,
        )

    def fingerprint(self, options: CsvLesionsOptions) -> Mapping[str, str]:
        """SHA-256 of each image, and of its mask, by id. (The contents of the table enter keys through the split.)"""
        names = [row[options.columns.image] for row in read_table(options)]
        images = file_digests({name: options.root / options.images / name for name in names})
        if options.masks is None:
            return images
        masks = file_digests({name: mask_of(options, name) for name in names})
        return {name: f"{images[name]} {masks[name]}" for name in names}

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        """Yields one image at a time. A file that cannot be decoded is reported as `Unreadable`."""
        options, root = self.options, self.options.root
        for name in ids:
            try:
                pixels = read_image(root / options.images / name, root=root)
                mask = read_mask(mask_of(options, name), root=root) if options.masks else None
                yield RawImage(pixels, mask)
            except UnreadableImage as error:
                yield Unreadable(error.reason)


def mask_of(options: CsvLesionsOptions, name: str) -> Path:
    """The mask of an image: masks/a.png of images/a.jpg."""
    assert options.masks is not None
    return (options.root / options.masks / name).with_suffix(".png")


def read_table(options: CsvLesionsOptions) -> list[dict[str, str]]:
    """The rows of the table. Raises UserError for a missing table, column or value, and for a repeated image."""
    file = options.root / options.table
    if not file.is_file():
        raise UserError(f"there is no {file.absolute()}", hint="`root` is the folder that contains the table")
    try:
        with file.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            header, rows = reader.fieldnames or [], list(reader)
    except UnicodeDecodeError as error:
        raise UserError("not a text file in UTF-8", file=file) from error
    except csv.Error as error:  # for example a value of more than 131,072 characters
        raise UserError(f"not a valid table: {error}", file=file) from error
    columns = options.columns
    needed = [columns.image, columns.label, *([columns.group] if columns.group else [])]
    for column in [*needed, *columns.attributes]:
        if column not in header:
            hint = did_you_mean(column, header) or f"it has {', '.join(header)}"
            raise UserError(f"there is no column '{column}'", file=file, line=1, hint=hint)
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        empty = [column for column in needed if not row[column]]
        if empty:
            raise UserError(f"{', '.join(empty)} missing", file=file, line=line)
        if row[columns.image] in seen:
            raise UserError(f"'{row[columns.image]}' is listed twice", file=file, line=line)
        seen.add(row[columns.image])
    if not rows:
        raise UserError("contains no images", file=file)
    return rows


def _values(texts: list[str]) -> list[float | str | None]:
    """Numbers if all values are numbers, else texts; None for a missing value."""
    try:
        return [float(text) if text else None for text in texts]
    except ValueError:
        return [text or None for text in texts]
