"""What the readers of published data sets share: what is known of one, the object that reads its files, and all files
below the root. Labels and the match of tables and images are in `listings`.

A reader lists the disk once, turns each of its tables into a `Listing`, and joins them::

    disk = Disk(options.root, ABOUT)
    fields = Fields(disk.table("metadata"), {"image": "img_id", "label": "dx"}, {"sex": "sex"})
    labels = fields.coded("label", CODES)
    listing = Listing(fields.rows, fields.columns["image"], labels, None, fields.attributes("sex"))
    return catalogue(disk, [listing], options, CODES)
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError
from derm_bench.fingerprint import file_digests
from derm_bench.imageio import SUFFIXES
from derm_bench.specs import DatasetDescription
from derm_bench_plugins.datasets import files
from derm_bench_plugins.datasets.image_search import OTHER, Found, find_images
from derm_bench_plugins.datasets.table_formats import MAX_TABLE_BYTES
from derm_bench_plugins.datasets.tables import Table, find_table, open_table

if TYPE_CHECKING:
    from derm_bench.specs import RawImage, Task, Unreadable


@dataclass(frozen=True)
class About:
    """What is known of a published data set before its files are read. `source` completes "get it from ..."; `layout`
    says what the folder has, for errors; `counts` are the published numbers of images, by part or class, or in all
    under the name ""."""

    title: str
    source: str
    layout: str
    licence: str = ""
    citation: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def hint(self) -> str:
        return f"{self.title} has {self.layout}; get it from {self.source}"


class Published:
    """A data set of files. `scan` returns the catalogue for the options; it is called once for the same options.

    `at_least` is the side down to which JPEGs may be decoded at a reduced size; None decodes them at full size.
    """

    def __init__(self, options: Any, task: Task, scan: Callable[[Any], files.Catalogue]) -> None:
        self.options, self._scan = options, scan
        self.at_least = files.decoded_side(task)
        self._known: tuple[Any, files.Catalogue] | None = None

    def describe(self, options: Any) -> DatasetDescription:
        """Return the description. Raises UserError if files are missing or do not fit together."""
        self._known = None
        return self._catalogue(options).description

    def fingerprint(self, options: Any) -> Mapping[str, str]:
        """Return one SHA-256 per image, over its file and the file of its mask."""
        return files.digests(self._catalogue(options))

    def paths(self, options: Any) -> Mapping[str, Path | str]:
        """Return the path of each image, by id."""
        return self._catalogue(options).images

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        catalogue = self._catalogue(self.options)
        return files.read_files(catalogue, None, ids, self.at_least)

    def _catalogue(self, options: Any) -> files.Catalogue:
        if self._known is None or self._known[0] != options:
            self._known = options, self._scan(options)
        return self._known[1]


# -------------------------------------------------------------------------------- files and tables


class Disk:
    """All files below the root, listed once. `images` are the image files, `others` the paths of all other files."""

    def __init__(self, root: Path, about: About) -> None:
        self.root, self.about = files.existing_folder(root, about.title), about
        self.images = find_images(self.root)
        self.others = sorted(f"{self.root}{os.sep}{name}" for name in self.images.ignored.get(OTHER, ()))
        self.used: list[Path] = []

    def find(self, *stems: str) -> Path | None:
        """Return the table with the first of these names that exists, of several the one in the uppermost folder.

        Raises UserError if two of the uppermost tables differ.
        """
        folders: dict[str, list[str]] = defaultdict(list)
        for path in self.others:
            folder, _, name = path.rpartition(os.sep)
            folders[folder].append(name.lower())
        uppermost = sorted(folders, key=lambda folder: (folder.count(os.sep), folder))
        for stem in stems:
            holding = [f for f in uppermost if any(name.startswith(stem.lower()) for name in folders[f])]
            tables = list(filter(None, (find_table(Path(folder), stem) for folder in holding)))
            if tables:
                return self._first(tables)
        return None

    def _first(self, tables: list[Path]) -> Path:
        level = [path for path in tables if len(path.parts) == len(tables[0].parts)]
        if len(set(file_digests({str(path): path for path in level}, MAX_TABLE_BYTES).values())) > 1:
            listed = ", ".join(self.images.name(path) for path in level)
            raise UserError(
                f"{self.root} has several tables of one name that differ: {listed}",
                hint="`root` must be the folder of one of them",
            )
        return tables[0]

    def optional(self, *stems: str) -> Table | None:
        """Return the table with the first of these names that exists; None if there is none."""
        file = self.find(*stems)
        if file is None:
            return None
        self.used.append(file)
        return open_table(file)

    def table(self, *stems: str) -> Table:
        """Return the table with the first of these names that exists. Raises UserError if there is none."""
        found = self.optional(*stems)
        if found is None:
            raise self.absent(f"no {' or '.join(stems)} (.csv, .tab, .xlsx and others)")
        return found

    def absent(self, what: str) -> UserError:
        """Return the error that something is not below the root, with what the folder should have and has."""
        tops = [f"{path.name}/" if path.is_dir() else path.name for path in files.entries(self.root)]
        there = f"the folder has {files.some(tops, 5)}" if tops else "the folder is empty"
        return UserError(
            f"{what} in {self.root} or the folders in it; {there}", hint=f"{self.about.hint}; check `root`"
        )

    def files(self, pattern: str) -> list[str]:
        """Return the paths of other files whose name below the root matches a pattern, without regard to case."""
        wanted = re.compile(pattern, re.IGNORECASE)
        return [path for path in self.others if wanted.search(self.images.name(path))]

    def take(self, pattern: str, reason: str = "") -> dict[str, str]:
        """Take the image files whose name without suffix matches a pattern with one group out of `images`, and return
        their paths by that group. With a `reason`, they are listed under it as set aside."""
        wanted = re.compile(pattern, re.IGNORECASE)
        taken: dict[str, str] = {}
        paths: list[str] = []
        for path in self.images.paths:
            match = wanted.search(stem(path.rpartition(os.sep)[2]))
            if match is not None:
                taken.setdefault(match[1], path)
                paths.append(path)
        if reason:
            self.images = self.images.without(reason, paths)
        elif paths:
            left_out = set(paths)
            kept = [path for path in self.images.paths if path not in left_out]
            self.images = Found(self.images.root, kept, self.images.ignored, self.images.links)
        return taken


def stem(name: str) -> str:
    """Return a file name without folder, and without suffix if it is that of an image."""
    if name.isalnum() or not ("." in name or "/" in name or "\\" in name):
        return name
    last = name.replace("\\", "/").rpartition("/")[2]
    base, dot, suffix = last.rpartition(".")
    return base if dot and f".{suffix.lower()}" in SUFFIXES else last


def digests_inside(file: Path, names: Iterable[str]) -> dict[str, str]:
    """Return a digest for each image inside of one file: SHA-256 of the digest of the file and the name."""
    whole = file_digests({"": file})[""]
    return {name: hashlib.sha256(f"{whole} {name}".encode()).hexdigest() for name in names}
