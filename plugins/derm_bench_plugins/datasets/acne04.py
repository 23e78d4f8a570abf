"""acne04: 1,457 photographs of faces in four grades of acne (Wu et al., ICCV 2019)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.regular_files import read_regular
from derm_bench.specs import Note
from derm_bench_plugins.datasets.files import Catalogue
from derm_bench_plugins.datasets.listings import Listing, catalogue
from derm_bench_plugins.datasets.published import About, Disk, Published, stem
from derm_bench_plugins.datasets.tables import Rows

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.faces import Acne04Options

GRADES = ("0", "1", "2", "3")
NAME = "image"
MAX_LIST = 2**24
KINDS = {"trainval": "train", "test": "test"}
NAMED_GRADE = re.compile(r"^lev(?:le|el)([0-3])_\d+$", re.IGNORECASE)
ABOUT = About(
    "ACNE04",
    source="https://github.com/xpwu95/LDL",
    layout="JPEGImages/, and ImageSets/Main/ with NNEW_trainval_0.txt and NNEW_test_0.txt to NNEW_test_4.txt",
    licence="academic use only",
    citation="Wu, X. et al. Joint acne image grading and counting via label distribution learning. ICCV (2019).",
    counts={"": 1457},
)


def make(options: Acne04Options, task: Task) -> Published:
    """ACNE04. The classes are the ordered grades 0 (mild) to 3 (very severe). It has no groups."""
    return Published(options, task, scan)


def scan(options: Acne04Options) -> Catalogue:
    """List the root and read the two lists of the fold. Without lists, the grade is that of the file name
    (`levle0_12.jpg`). Attribute: lesion_count, from which the grade was partly judged."""
    disk = Disk(options.root, ABOUT)
    lists = {kind: _list(disk, kind, options.fold) for kind in KINDS}
    if all(lists.values()):
        listings = [_read(file, KINDS[kind]) for kind, file in lists.items() if file]
        note = "grades were judged with the number of lesions: the attribute `lesion_count` tells them"
        return catalogue(disk, listings, options, GRADES, ordinal=True, notes=[Note(note)])
    if disk.files(r"(^|/)NNEW_\w+\.txt$"):
        absent = " and ".join(f"NNEW_{kind}_{options.fold}.txt" for kind, file in lists.items() if not file)
        raise disk.absent(f"no {absent}")
    listing = _named(disk)
    note = "the lists NNEW_*.txt are not there: the grade is that of the file name, and no split is given"
    return catalogue(disk, [listing], options, GRADES, ordinal=True, notes=[Note(note)])


def _list(disk: Disk, kind: str, fold: int) -> Path | None:
    found = disk.files(rf"(^|/)NNEW_{kind}_{fold}\.txt$")
    if not found:
        return None
    disk.used.append(Path(found[0]))
    return Path(found[0])


@dataclass
class _Columns:
    names: list[str | None] = field(default_factory=list)
    grades: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def _read(file: Path, split: str) -> Listing:
    """The rows of a list: file name, grade and number of lesions, separated by spaces."""
    try:
        text = read_regular(file, MAX_LIST).decode("utf-8", "replace")
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", file=file) from error
    columns = _Columns()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, grade, count = ([*line.rsplit(maxsplit=2), "", ""])[:3]
        if grade not in GRADES or not count.isdecimal():
            raise UserError(
                f"'{line.strip()[:80]}' has no file name, grade (0 to 3) and number of lesions",
                file=file,
                line=number,
                hint="such as: levle0_12.jpg  0  4",
            )
        columns.names.append(name)
        columns.grades.append(grade)
        columns.counts.append(int(count))
        columns.lines.append(number)
    rows = Rows(file, {NAME: columns.names}, columns.lines)
    return Listing(rows, NAME, columns.grades, None, {"lesion_count": columns.counts}, split)


def _named(disk: Disk) -> Listing:
    """The images whose name has the grade."""
    found = {
        stem(path.rpartition(os.sep)[2]): NAMED_GRADE.match(stem(path.rpartition(os.sep)[2]))
        for path in disk.images.paths
    }
    grades = {name: match[1] for name, match in found.items() if match}
    if not grades:
        raise disk.absent("no NNEW_trainval_0.txt, and no image with a name such as levle0_12.jpg")
    names: list[str | None] = list(grades)
    rows = Rows(disk.root, {NAME: names}, range(1, len(names) + 1))
    return Listing(rows, NAME, list(grades.values()))
