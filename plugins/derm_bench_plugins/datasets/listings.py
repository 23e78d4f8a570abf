"""Labels by code, and the match of the tables of a published data set to its images.

A reader turns each of its tables into a `Listing`, and `catalogue` joins them.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError, did_you_mean
from derm_bench.specs import DatasetDescription, Note
from derm_bench_plugins.datasets import files
from derm_bench_plugins.datasets.image_search import Found
from derm_bench_plugins.datasets.matching import allow, match_images
from derm_bench_plugins.datasets.published import About, Disk, stem
from derm_bench_plugins.datasets.tables import Rows, Table

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.specs.shared import AllowsMissing

SPLIT_OF_PART = {"training": "train", "validation": "val", "test": "test"}
_OTHER_PART = re.compile(r"(^|[/_\- .])(test|valid|validation|val)([_\- .][^/]*)?/", re.IGNORECASE)
UNLABELLED = "images of a part (validation or test) whose labels are not there"


def coded(rows: Rows, column: str, codes: Iterable[str], names: Mapping[str, str] | None = None) -> list[str]:
    """Return a column of labels as they are written in `codes`, which are compared without regard to case.

    `names` replaces the codes by other names. Raises UserError for a row without label, and for labels that are not
    among the codes, with their number and the line of the first.
    """
    spelled = {code.lower(): (names or {}).get(code, code) for code in codes}
    known: dict[str | None, str] = {}
    unknown: Counter[str] = Counter()
    first = 0
    for row, text in enumerate(rows[column]):
        if text in known:
            continue
        if text is None:
            raise rows.error("this row has no label", row, column=column)
        if text.lower() in spelled:
            known[text] = spelled[text.lower()]
        else:
            first = first if unknown else row
            unknown[text] += 1
    if unknown:
        others = f", and {len(unknown) - 1} more unknown labels" if len(unknown) > 1 else ""
        message = f"'{rows[column][first]}' is not a known label{others}: {files.some(unknown, 10)}"
        hint = did_you_mean(next(iter(unknown)), list(codes))
        raise rows.error(message, first, column=column, hint=hint)
    return [known[text] for text in rows[column]]


def one_hot(table: Table, rows: Rows, codes: Sequence[str], otherwise: str | None = None) -> list[str]:
    """Return the label of each row from columns of 0 and 1 that are named by the codes, in the spelling of `codes`."""
    written = {table.column(code): code for code in codes}
    labels = rows.one_hot(list(written), otherwise)
    return [written.get(label, label) for label in labels]


def lookup(rows: Rows, column: str, keys: Iterable[str | None]) -> list[int | None]:
    """Return the row in which `column` has each key, None for a key that it does not have. Image names are compared
    without suffix."""
    place = {stem(value): row for row, value in enumerate(rows[column]) if value is not None}
    return [None if key is None else place.get(stem(key)) for key in keys]


def aligned(values: Sequence[Any], places: Iterable[int | None]) -> list[Any]:
    """Return the value at each place, None where there is no place."""
    return [None if place is None else values[place] for place in places]


class Fields:
    """The columns of a table that a reader uses, under names of its own. `needed` and `extra` map these names to that
    of the column, or to several of which the first that exists is used; a column of `extra` may be absent. `verbatim`
    are names of which `unknown` and `none` are values.

    Raises UserError if a needed column is absent.
    """

    def __init__(
        self, table: Table, needed: _Names, extra: _Names | None = None, verbatim: Iterable[str] = ()
    ) -> None:
        self.columns = {name: table.column(*_several(columns)) for name, columns in needed.items()}
        for name, columns in (extra or {}).items():
            column = table.optional(*_several(columns))
            if column is not None:
                self.columns[name] = column
        exact = [self.columns[name] for name in verbatim if name in self.columns]
        self.table, self.rows = table, table.read(self.columns.values(), exact)

    def __getitem__(self, name: str) -> list[str | None]:
        return self.rows[self.columns[name]]

    def get(self, name: str) -> list[str | None] | None:
        """Return the values of a column; None if the table does not have it."""
        return self[name] if name in self.columns else None

    def coded(self, name: str, codes: Sequence[str], names: Mapping[str, str] | None = None) -> list[str]:
        """Return a column of labels as `coded` does."""
        return coded(self.rows, self.columns[name], codes, names)

    def attributes(self, *names: str) -> dict[str, list[Any]]:
        """Return those of the columns that the table has: age as numbers, sex in lower case, tone without the `.0` that
        whole numbers get in a column with gaps."""
        made: dict[str, list[Any]] = {}
        for name in names:
            if name not in self.columns:
                continue
            if name == "age":
                made[name] = list(self.rows.numbers(self.columns[name]))
            else:
                change = {"sex": str.lower, "tone": _whole}.get(name)
                made[name] = [change(text) if change and text else text for text in self[name]]
        return made


def _whole(text: str) -> str:
    return text.removesuffix(".0")


_Names = Mapping[str, str | tuple[str, ...]]


def _several(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


# --------------------------------------------------------------------------------------- catalogue


@dataclass
class Listing:
    """The rows of one table of labels. `image` is the column of the image names; labels, groups and attributes run
    parallel to the rows, and a label of None sets the row aside. `split` is train, val, test or "", `part` the name of
    the part in counts."""

    rows: Rows
    image: str
    labels: Sequence[str | None]
    groups: Sequence[str | None] | None = None
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    split: str = ""
    part: str = ""

    @property
    def ids(self) -> list[str]:
        return [stem(name or "") for name in self.rows[self.image]]

    def where(self, keep: Sequence[bool]) -> Listing:
        """Return the listing of the rows that are true in `keep`."""

        def some(values: Sequence[Any]) -> list[Any]:
            return list(compress(values, keep))

        columns = {name: some(values) for name, values in self.rows.columns.items()}
        return Listing(
            Rows(self.rows.file, columns, some(self.rows.lines)),
            self.image,
            some(self.labels),
            None if self.groups is None else some(self.groups),
            {name: some(values) for name, values in self.attributes.items()},
            self.split,
            self.part,
        )


def chosen_parts(
    listings: Sequence[Listing], part: str, disk: Disk, wanted: str
) -> tuple[list[Listing], list[Listing]]:
    """Return the listings of the part that an option names ("all": all of them), and the others. Raises UserError if
    there are none; `wanted` names the table that was looked for."""
    chosen = [listing for listing in listings if part in ("all", listing.part)]
    if not chosen:
        raise disk.absent(f"no {wanted} (.csv, .tab, .xlsx and others)")
    return chosen, [listing for listing in listings if part not in ("all", listing.part)]


def catalogue(
    disk: Disk,
    listings: Sequence[Listing],
    options: AllowsMissing,
    classes: Sequence[str],
    *,
    masks: Mapping[str, str] | None = None,
    others: Sequence[Listing] = (),
    notes: Iterable[Note] = (),
    ordinal: bool = False,
) -> files.Catalogue:
    """Match the rows of all listings to the images, and return what belongs together.

    `classes` are all classes in their order; those without images are left out, and noted. `masks` are files by image
    id. Images that only the listings in `others` name are parts that are not used.
    """
    listings, absent = _with_images(disk, listings)
    images, where, remarks, same = _matched(disk, listings, options)
    remarks += _strangers(disk, set(images.values()), same, others, options)
    order = sorted(where)
    if not order:
        raise UserError(f"no image in {disk.root} has a label", hint=disk.about.hint)
    labels = [listings[where[name][0]].labels[where[name][1]] or "" for name in order]
    kept = {name: Path(masks[name]) for name in order if name in masks} if masks else {}
    present = set(labels)
    description = DatasetDescription(
        ids=order,
        labels=labels,
        classes=[name for name in classes if name in present],
        groups=_groups(listings, order, where),
        attributes=_attributes(listings, order, where),
        given_split=_given(listings, order, where),
        masks=len(kept) == len(order),
        licence=disk.about.licence,
        citation=disk.about.citation,
        ordinal=ordinal,
        notes=[
            *disk.images.notes(disk.used),
            *notes,
            *absent,
            *remarks,
            *_of_classes(classes, present),
            *_of_masks(order, kept),
            *_of_counts(disk.about, listings, labels, where),
        ],
    )
    return files.Catalogue(description, {name: images[name] for name in order}, kept)


_Where = Mapping[str, tuple[int, int]]
"""The listing of each id, and its row in it."""


def _with_images(disk: Disk, listings: Sequence[Listing]) -> tuple[Sequence[Listing], list[Note]]:
    """The listings of the parts that have images at all, if there is one, and notes about the others: tables of labels
    are small, and many people have those of parts whose images they do not have."""
    if len(listings) < 2 or not all(listing.part for listing in listings):
        return listings, []
    names = {stem(path.rpartition(os.sep)[2]) for path in disk.images.paths}
    there = [listing for listing in listings if not names.isdisjoint(listing.ids)]
    if not there:
        return listings, []
    return there, [
        Note(f"the part {listing.part} is not read: none of its {len(listing.rows):,} images is there")
        for listing in listings
        if listing not in there
    ]


def _matched(
    disk: Disk, listings: Sequence[Listing], options: AllowsMissing
) -> tuple[dict[str, str], _Where, list[Note], set[str]]:
    """Match the rows of all listings. Return the image of each row, the place of each row with image and label, notes,
    and the names of images that are there again."""
    images: dict[str, str] = {}
    where: dict[str, tuple[int, int]] = {}
    notes: list[Note] = []
    same: set[str] = set()
    for number, listing in enumerate(listings):
        rows, column = listing.rows, listing.image
        found = Found(disk.root, disk.images.paths)
        source = disk.about.source
        matched = match_images(rows, column, found, options, source=source, unlisted=frozenset())
        ids, unlabelled = listing.ids, []
        for row in matched.rows:
            name = ids[row]
            if name in images:
                raise rows.error(f"'{name}' is in two tables", row, column=column)
            images[name] = matched.paths[row]
            if listing.labels[row] is None:
                unlabelled.append(name)
            else:
                where[name] = number, row
        notes += matched.notes
        same.update(*(note.names for note in matched.notes))
        if unlabelled:
            notes.append(Note(f"set aside: rows of {rows.file.name} without a label", unlabelled))
    return images, where, notes, same


def _strangers(
    disk: Disk, taken: set[str], same: set[str], others: Sequence[Listing], options: AllowsMissing
) -> list[Note]:
    """Notes about images without a row. Raises UserError if they are more than the options allow; those of other parts
    and of unlabelled parts do not count."""
    unused = {name for listing in others for name in listing.ids}
    of_others: list[str] = []
    unlabelled: list[str] = []
    strangers: list[str] = []
    for path in disk.images.paths:
        if path in taken:
            continue
        name = disk.images.name(path)
        if name in same:
            continue
        if stem(name) in unused:
            of_others.append(name)
        else:
            (unlabelled if _OTHER_PART.search(name) else strangers).append(name)
    allow(
        strangers,
        len(disk.images.paths),
        options,
        "images without a row in the tables",
        hint="the table is incomplete, or they belong to another data set",
    )
    allow(disk.images.broken, len(disk.images.paths), options, "links that lead nowhere")
    return [
        Note(text, names)
        for text, names in (
            ("not used: images of parts that `part` does not select", of_others),
            (f"set aside: {UNLABELLED}", unlabelled),
            ("set aside: images without a row in the tables", strangers),
        )
        if names
    ]


def _groups(listings: Sequence[Listing], order: Sequence[str], where: _Where) -> list[str] | None:
    if all(listing.groups is None for listing in listings):
        return None
    columns = [listing.groups for listing in listings]
    found = []
    for name in order:
        number, row = where[name]
        column = columns[number]
        value = None if column is None else column[row]
        found.append(f"alone:{name}" if value is None else value)
    return found


def _attributes(listings: Sequence[Listing], order: Sequence[str], where: _Where) -> dict[str, list[Any]]:
    names = list(dict.fromkeys(name for listing in listings for name in listing.attributes))
    places = [where[name] for name in order]
    made = {}
    for name in names:
        columns = [listing.attributes.get(name) for listing in listings]
        made[name] = [None if (column := columns[n]) is None else column[row] for n, row in places]
    return made


def _given(listings: Sequence[Listing], order: Sequence[str], where: _Where) -> list[str] | None:
    one_part = len({listing.split for listing in listings}) < 2
    if one_part and (listings[0].part or not listings[0].split):
        return None
    return [listings[where[name][0]].split for name in order]


def _of_classes(classes: Sequence[str], present: set[str]) -> list[Note]:
    absent = [name for name in classes if name not in present]
    return [Note("no images of the classes", absent)] if absent else []


def _of_masks(order: Sequence[str], masks: Mapping[str, Path]) -> list[Note]:
    without = [name for name in order if name not in masks] if masks else []
    return [Note("masks are not used as a whole: images without a mask", without)] if without else []


def _of_counts(about: About, listings: Sequence[Listing], labels: Sequence[str], where: _Where) -> list[Note]:
    """A note about the published numbers of images that differ."""
    found = Counter(labels) + Counter(listings[number].part for number, _ in where.values())
    found[""] = len(labels)
    others = {name: n for name, n in about.counts.items() if name in found and found[name] != n}
    if not others:
        return []
    total = others.pop("", None)
    text = f"{len(labels):,} images, where {total:,} were published" if total else ""
    named = ", ".join(f"{name} {found[name]:,} of {n:,}" for name, n in others.items())
    return [Note("; ".join(filter(None, (text, named and f"images, and the published number: {named}"))))]
