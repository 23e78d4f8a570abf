"""ph2: 200 dermoscopy images with masks (Mendonça et al., EMBC 2013)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.regular_files import read_regular
from derm_bench_plugins.datasets.files import Catalogue
from derm_bench_plugins.datasets.listings import Listing, catalogue, coded
from derm_bench_plugins.datasets.published import About, Disk, Published
from derm_bench_plugins.datasets.tables import Rows, open_table

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.clinics import Ph2Options

CLASSES = ("common nevus", "atypical nevus", "melanoma")
CODES = {str(code): name for code, name in enumerate(CLASSES)}
IMAGE = "Image Name"
DIAGNOSIS = "Clinical Diagnosis"
MAX_TEXT = 2**20
ABOUT = About(
    "PH2",
    source="https://www.fc.up.pt/addi/ph2%20database.html",
    layout="PH2_dataset (.csv, .xlsx or .txt) and PH2 Dataset images/IMD002/IMD002_Dermoscopic_Image/IMD002.bmp, or "
    "all images in one folder",
    licence="for research and education",
    citation="Mendonça, T. et al. PH2 - a dermoscopic image database for research and benchmarking. EMBC (2013).",
    counts={"common nevus": 80, "atypical nevus": 80, "melanoma": 40},
)


def make(options: Ph2Options, task: Task) -> Published:
    """PH2. It has no groups. Masks of the lesion are read where they lie beside."""
    return Published(options, task, scan)


def scan(options: Ph2Options) -> Catalogue:
    """List the root and read the table of diagnoses."""
    disk = Disk(options.root, ABOUT)
    masks = disk.take(r"^(IMD\d+)_lesion$")
    disk.take(r"^(IMD\d+)_(R\d+_)?label\d+$", "masks of regions")
    rows, image, labels = _diagnoses(disk)
    return catalogue(disk, [Listing(rows, image, labels)], options, CLASSES, masks=masks)


def _diagnoses(disk: Disk) -> tuple[Rows, str, Sequence[str]]:
    """The rows, the column of the image names, and the label of each row."""
    file = disk.find("PH2_dataset")
    if file is None:
        raise disk.absent("no PH2_dataset (.csv, .xlsx or .txt)")
    disk.used.append(file)
    if file.suffix.lower() == ".txt" and (rows := _bars(file)) is not None:
        return rows, IMAGE, coded(rows, DIAGNOSIS, tuple(CODES), CODES)
    table = open_table(file, header=(IMAGE, "Name"))
    image = table.column(IMAGE, "Name")
    marked = [table.optional(name) for name in CLASSES]
    if all(marked) and not table.optional(DIAGNOSIS):
        rows = table.read([image, *marked])
        return rows, image, _marks(rows, [str(name) for name in marked])
    diagnosis = table.column(DIAGNOSIS)
    rows = table.read([image, diagnosis])
    return rows, image, coded(rows, diagnosis, tuple(CODES), CODES)


def _marks(rows: Rows, columns: list[str]) -> list[str]:
    """The class whose column has a mark (an X)."""
    labels = []
    for row in range(len(rows)):
        found = [
            name
            for name, column in zip(CLASSES, columns, strict=True)
            if rows[column][row] not in (None, "0")
        ]
        if len(found) != 1:
            message = f"exactly one of {', '.join(columns)} must be marked, not {len(found)}"
            raise rows.error(message, row)
        labels += found
    return labels


def _bars(file: Path) -> Rows | None:
    """The rows of the archive's text file, whose cells stand between double bars; None for a file of another kind."""
    try:
        text = read_regular(file, MAX_TEXT).decode("utf-8", "replace")
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", file=file) from error
    lines = [
        (number, [cell.strip() for cell in line.strip().strip("|").split("||")])
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip().startswith("||")
    ]
    if not lines:
        return None
    header = [name.lower() for name in lines[0][1]]
    if "name" not in header or DIAGNOSIS.lower() not in header:
        raise UserError(
            f"there is no column 'Name' or no column '{DIAGNOSIS}'; the first row names {', '.join(lines[0][1])}",
            file=file,
            line=lines[0][0],
        )
    at = header.index("name"), header.index(DIAGNOSIS.lower())
    cells = [
        (number, row) for number, row in lines[1:] if len(row) > max(at) and re.match(r"IMD\d", row[at[0]])
    ]
    columns: dict[str, list[str | None]] = {
        IMAGE: [row[at[0]] for _, row in cells],
        DIAGNOSIS: [row[at[1]] or None for _, row in cells],
    }
    return Rows(file, columns, [number for number, _ in cells])
