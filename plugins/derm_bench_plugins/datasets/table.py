"""table: images that a CSV, TSV, XLSX or Parquet file lists, with labels, groups and attributes in its columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.specs import DatasetDescription, Note
from derm_bench_plugins.datasets import files
from derm_bench_plugins.datasets.folder_layout import split_of
from derm_bench_plugins.datasets.image_search import Found, find_images
from derm_bench_plugins.datasets.matching import ImageIndex, Matched, allow, match_images
from derm_bench_plugins.datasets.side_images import AS_MASKS, SPARE, Sides, find_sides, in_folders_of_masks
from derm_bench_plugins.datasets.tables import Rows, Table, open_table

if TYPE_CHECKING:
    from derm_bench.specs import RawImage, Task, Unreadable
    from derm_bench_plugins.datasets.specs.table import TableOptions

NUMBERS = ("age",)
"""Attributes that are numbers."""


class ImageTable:
    """The images that a table lists. Ids are the values of the column `image`, as they are written.

    `at_least` is the side down to which JPEGs may be decoded at a reduced size; None decodes them at full size.
    """

    def __init__(self, options: TableOptions, task: Task) -> None:
        self.options = options
        self.at_least = files.decoded_side(task)
        self._catalogue: files.Catalogue | None = None

    def describe(self, options: TableOptions) -> DatasetDescription:
        """Return the description. The classes are the sorted labels, the columns of a one-hot label, or the grades.

        Raises UserError if a column is missing, if values are invalid, and if rows and images do not match.
        """
        self._catalogue = scan(options)
        return self._catalogue.description

    def fingerprint(self, options: TableOptions) -> Mapping[str, str]:
        """Return one SHA-256 per image, over its file and the file of its mask, by id."""
        return files.digests(self._known(options))

    def paths(self, options: TableOptions) -> Mapping[str, Path | str]:
        """Return the path of each image, by id."""
        return self._known(options).images

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        # Links were followed, and recorded, when the folder was listed.
        return files.read_files(self._known(self.options), None, ids, self.at_least)

    def _known(self, options: TableOptions) -> files.Catalogue:
        if self._catalogue is None or options != self.options:
            self._catalogue = scan(options)
        return self._catalogue


@dataclass(frozen=True)
class _Columns:
    """The columns of the options as they are written in the table."""

    image: str
    label: str | None
    one_hot: tuple[str, ...]
    group: str | None
    mask: str | None
    split: str | None
    attributes: Mapping[str, str]

    def wanted(self) -> list[str | None]:
        return [
            self.image, self.label, *self.one_hot, self.group, self.mask, self.split, *self.attributes.values()
        ]  # fmt: skip


def scan(options: TableOptions) -> files.Catalogue:
    """Read the table, list the folder of images once, and return the catalogue."""
    table = open_table(options.file)
    columns = _columns(table, options)
    rows = table.read(columns.wanted(), verbatim=[columns.label] if columns.label else [])
    if not rows:
        raise UserError("the table has a header and no rows", file=table.file)
    root = files.existing_folder(options.root or table.file.parent, "image")
    found = find_images(root)
    by_row, sides = _masks(rows, columns, found), _sides(found) if columns.mask is None else Sides()
    of_masks = {*by_row.values(), *sides.masks.values(), *sides.spare}
    matched = match_images(rows, columns.image, found.only_images(of_masks), options, used=[table.file])
    masks = by_row or {k: sides.masks[path] for k, path in matched.paths.items() if path in sides.masks}
    labels = _labels(rows, columns, options)
    unlabelled = [str(rows[columns.image][k]) for k, label in enumerate(labels) if label is None]
    allow(unlabelled, len(rows), options, f"rows of {table.file.name} without a label", file=table.file)
    notes = [
        Note(table.note),
        *matched.notes,
        Note(AS_MASKS, [found.name(path) for path in sorted(masks.values())]),
        Note(f"set aside: {SPARE}", [found.name(path) for path in sides.spare]),
        Note(f"set aside: rows of {table.file.name} without a label", unlabelled),
    ]
    notes = [note for note in notes if note.names or note.text == table.note != ""]
    return _catalogue(options, _Read(rows, columns, labels), matched, masks, notes)


def _sides(found: Found) -> Sides:
    """The masks beside the images, or in folders of their own."""
    return find_sides(found.paths, in_folders_of_masks(found.paths))


@dataclass(frozen=True)
class _Read:
    """What was read from the table. A row without a label has None."""

    rows: Rows
    columns: _Columns
    labels: Sequence[str | None]


def _catalogue(
    options: TableOptions, read: _Read, matched: Matched, masks: Mapping[int, str], notes: Sequence[Note]
) -> files.Catalogue:
    rows, columns = read.rows, read.columns
    kept = [k for k in matched.rows if read.labels[k] is not None]
    ids = [str(rows[columns.image][k]) for k in kept]
    labels = [str(read.labels[k]) for k in kept]
    groups = None
    if columns.group is not None:
        of_row = rows[columns.group]
        groups = [of_row[k] or f"alone:{name}" for k, name in zip(kept, ids, strict=True)]
    description = DatasetDescription(
        ids=ids,
        labels=labels,
        classes=_classes(options, columns, labels, rows),
        groups=groups,
        attributes=_attributes(rows, columns, kept),
        given_split=_splits(rows, columns, kept),
        masks=any(k in masks for k in kept),
        licence=options.licence,
        citation=options.citation,
        ordinal=options.grades is not None,
        notes=notes,
    )
    images = {name: matched.paths[k] for k, name in zip(kept, ids, strict=True)}
    masked = {name: Path(masks[k]) for k, name in zip(kept, ids, strict=True) if k in masks}
    return files.Catalogue(description, images, masked)


def _columns(table: Table, options: TableOptions) -> _Columns:
    stated = options.columns

    def named(name: str | None, *path: str | int) -> str | None:
        return table.column(name, path=path) if name is not None else None

    one_hot = stated.label if isinstance(stated.label, tuple) else ()
    return _Columns(
        image=table.column(stated.image, path=("columns", "image")),
        label=named(stated.label, "columns", "label") if isinstance(stated.label, str) else None,
        one_hot=tuple(table.column(name, path=("columns", "label", k)) for k, name in enumerate(one_hot)),
        group=named(stated.group, "columns", "group"),
        mask=named(stated.mask, "columns", "mask"),
        split=named(stated.split, "columns", "split"),
        attributes={
            name: table.column(column, path=("attributes", name))
            for name, column in options.attributes.items()
        },
    )


def _labels(rows: Rows, columns: _Columns, options: TableOptions) -> list[str | None]:
    """The label of each row; None where it is missing."""
    labels: list[str | None]
    if columns.label is not None:
        labels = list(rows[columns.label])
    else:
        assert isinstance(options.columns.label, tuple)
        written = dict(zip(columns.one_hot, options.columns.label, strict=True))
        labels = [written.get(name, name) for name in rows.one_hot(columns.one_hot, options.otherwise)]
    if options.grades is not None:
        for k, label in enumerate(labels):
            if label is not None and label not in options.grades:
                hint = f"`grades` lists {', '.join(options.grades)}"
                raise rows.error(f"the label '{label}' is no grade", k, column=columns.label or "", hint=hint)
    return labels


def _classes(options: TableOptions, columns: _Columns, labels: Sequence[str], rows: Rows) -> list[str]:
    present = set(labels)
    if options.grades is not None:
        order: Sequence[str] = options.grades
    elif isinstance(options.columns.label, tuple):
        order = [*options.columns.label, *([options.otherwise] if options.otherwise else [])]
    else:
        order = sorted(present)
    classes = [name for name in dict.fromkeys(order) if name in present]
    if len(classes) < 2:
        column = columns.label or ", ".join(columns.one_hot)
        found = f"one label, '{classes[0]}'" if classes else "no labels"
        raise UserError(f"column '{column}' has {found}: one class is no classification", file=rows.file)
    return classes


def _attributes(rows: Rows, columns: _Columns, kept: Sequence[int]) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    for name, column in columns.attributes.items():
        values: Sequence[object] = rows.numbers(column) if name in NUMBERS else rows[column]
        found[name] = [values[k] for k in kept]
    return found


def _splits(rows: Rows, columns: _Columns, kept: Sequence[int]) -> list[str] | None:
    if columns.split is None:
        return None
    splits = []
    for k in kept:
        text = rows[columns.split][k]
        split = split_of(text) if text is not None else ""
        if text is not None and not split:
            hint = "write train, val or test, or leave it empty"
            raise rows.error(f"'{text}' is no split", k, column=columns.split, hint=hint)
        splits.append(split)
    return splits


def _masks(rows: Rows, columns: _Columns, found: Found) -> dict[int, str]:
    """The path of the mask of each row that names one. Raises UserError if it is not there."""
    if columns.mask is None:
        return {}
    index = ImageIndex(found)
    masks = {}
    for k, name in enumerate(rows[columns.mask]):
        if name is None:
            continue
        path = index.get(name, lambda k=k: rows.lines[k], rows.file)
        if path is None:
            raise rows.error(f"there is no mask '{name}' in {found.root}", k, column=columns.mask)
        masks[k] = path
    return masks
