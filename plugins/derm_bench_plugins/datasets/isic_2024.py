"""isic-2024: 401,059 crops of total body photographs, SLICE-3D (Kurtansky et al., Sci. Data 11, 884, 2024)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError
from derm_bench.specs import Note
from derm_bench_plugins.datasets import hdf5_images
from derm_bench_plugins.datasets.files import Catalogue
from derm_bench_plugins.datasets.image_search import Found
from derm_bench_plugins.datasets.listings import Fields, Listing, aligned, catalogue, lookup
from derm_bench_plugins.datasets.published import About, Disk, Published, digests_inside, stem

if TYPE_CHECKING:
    from derm_bench.specs import RawImage, Task, Unreadable
    from derm_bench_plugins.datasets.specs.isic import Isic2024Options

TARGET = {"0": "benign", "0.0": "benign", "1": "malignant", "1.0": "malignant"}
TRUTH = "ISIC_2024_Training_GroundTruth"
METADATA = ("train-metadata", "ISIC_2024_Training_Metadata", "metadata", "ISIC_2024_Training_Supplement")
ATTRIBUTES: dict[str, str | tuple[str, ...]] = {
    "age": "age_approx",
    "sex": "sex",
    "site": "anatom_site_general",
    "tile_type": "tbp_tile_type",
    "source": "attribution",
    "licence": "copyright_license",
}
TELLING = (
    "iddx_full",
    "iddx_1",
    "lesion_id",
    "mel_mitotic_index",
    "mel_thick_mm",
    "tbp_lv_dnn_lesion_confidence",
)
"""Columns that are filled in, or differ, because the label was known."""
ABOUT = About(
    "ISIC 2024",
    source="https://challenge.isic-archive.com/data/#2024 or Kaggle (isic-2024-challenge)",
    layout="train-metadata.csv, and the images as files (train-image/image/) or in train-image.hdf5",
    licence="CC BY-NC 4.0",
    citation="Kurtansky, N. R. et al. The SLICE-3D dataset: 400,000 skin lesion image crops extracted from 3D TBP for "
    "skin cancer detection. Sci. Data 11, 884 (2024).",
    counts={"": 401059, "malignant": 393},
)


@dataclass(frozen=True)
class Contained(Catalogue):
    """A catalogue whose images are in one HDF5 file, if `container` names one."""

    container: Path | None = None


class Isic2024(Published):
    """ISIC 2024. Groups are patients. Images are read from files or, if there are none, from an HDF5 file.

    Columns that tell the label (`TELLING`) are not read.
    """

    def __init__(self, options: Isic2024Options, task: Task) -> None:
        super().__init__(options, task, scan)

    def fingerprint(self, options: Isic2024Options) -> Mapping[str, str]:
        """Return one SHA-256 per image: of its file, or of the HDF5 file and its name in it."""
        found = self._catalogue(options)
        if isinstance(found, Contained) and found.container:
            return digests_inside(found.container, found.images)
        return super().fingerprint(options)

    def paths(self, options: Isic2024Options) -> Mapping[str, Path | str]:
        """Return the path of each image, by id; none for images in an HDF5 file."""
        found = self._catalogue(options)
        return {} if isinstance(found, Contained) and found.container else found.images

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        found = self._catalogue(self.options)
        if isinstance(found, Contained) and found.container:
            return hdf5_images.read_images(found.container, ids, self.at_least)
        return super().read(ids)


def scan(options: Isic2024Options) -> Contained:
    """List the root and read the tables. Attributes: age (years), sex, site, tile_type (kind of the light), source,
    licence."""
    disk = Disk(options.root, ABOUT)
    fields, labels, classes = _labels(disk, options.label_column)
    groups, attributes = _metadata(disk, fields)
    listing = Listing(fields.rows, fields.columns["image"], labels, groups, attributes)
    container = _container(disk, fields["image"])
    telling = [name for name in TELLING if fields.table.optional(name)]
    notes = [Note("columns that tell the label are not read as attributes", telling)] if telling else []
    if groups is None:
        notes.append(Note("there are no patients in the tables: images of one may be in training and test"))
    made = catalogue(disk, [listing], options, classes, notes=notes)
    return Contained(made.description, made.images, made.masks, container)


def _labels(disk: Disk, label: str) -> tuple[Fields, Sequence[str | None], Sequence[str]]:
    """The table with the label, the label of each row, and the classes. A level of the diagnosis is not part of every
    table, and rows may be without it."""
    target = label == "target"
    table = disk.optional(TRUTH) if target else None
    if table is not None:
        needed: dict[str, str | tuple[str, ...]] = {"image": "isic_id", "label": ("malignant", "target")}
        fields = Fields(table, needed)
    else:
        needed = {"image": "isic_id", "label": label, "patient": "patient_id"}
        fields = Fields(disk.table(*METADATA), needed, ATTRIBUTES)
    if target:
        return fields, fields.coded("label", tuple(TARGET), TARGET), ("benign", "malignant")
    classes = sorted({value for value in fields["label"] if value})
    if not classes:
        raise UserError(f"column '{label}' has no value", file=fields.table.file)
    return fields, fields["label"], classes


def _metadata(disk: Disk, fields: Fields) -> tuple[Sequence[str | None] | None, Mapping[str, Sequence[Any]]]:
    """The patients and the attributes, from the table of the labels or from another one."""
    if "patient" in fields.columns:
        return fields["patient"], fields.attributes(*ATTRIBUTES)
    table = disk.optional(*METADATA)
    if table is None:
        return None, {}
    extra = Fields(table, {"image": "isic_id"}, {"patient": "patient_id", **ATTRIBUTES})
    where = lookup(extra.rows, extra.columns["image"], fields["image"])
    patients = extra.get("patient")
    attributes = {name: aligned(column, where) for name, column in extra.attributes(*ATTRIBUTES).items()}
    return None if patients is None else aligned(patients, where), attributes


def _container(disk: Disk, names: Sequence[str | None]) -> Path | None:
    """The HDF5 file with the images, if no file is the image of a row. `disk` then lists what is in it."""
    found = [path for path in disk.files(r"\.(hdf5|h5)$") if not Path(path).name.lower().startswith("test")]
    wanted = {stem(name) for name in names if name}
    if not found or any(stem(path.rpartition(os.sep)[2]) in wanted for path in disk.images.paths):
        return None
    file = Path(sorted(found, key=lambda path: (path.count(os.sep), path))[0])
    disk.used.append(file)
    inside = sorted(f"{file}{os.sep}{name}" for name in hdf5_images.image_names(file))
    disk.images = Found(disk.root, inside, disk.images.ignored, disk.images.links)
    return file
