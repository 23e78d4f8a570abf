"""ham10000: 10,015 dermoscopy images of seven diagnoses (Tschandl et al., Sci. Data 5, 180161, 2018)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError, did_you_mean
from derm_bench.specs import DatasetDescription
from derm_bench_plugins.datasets import files

if TYPE_CHECKING:
    from derm_bench.specs import RawImage, Task, Unreadable
    from derm_bench_plugins.datasets.specs.ham10000 import Ham10000Options

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
METADATA = ("ham10000_metadata.csv", "ham10000_metadata.tab", "ham10000_metadata")
IMAGE_FOLDERS = ("images", "ham10000_images")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
LICENCE = "CC BY-NC 4.0"
CITATION = (
    "Tschandl, P., Rosendahl, C. & Kittler, H. The HAM10000 dataset, a large collection of multi-source "
    "dermatoscopic images of common pigmented skin lesions. Sci. Data 5, 180161 (2018)."
)


class Ham10000:
    """HAM10000. Groups are `lesion_id`; there is no patient id. Masks are read if their folder is next to the images.

    `at_least` is the side down to which JPEGs (600 x 450) may be decoded at a reduced size; None decodes them at full
    size.
    """

    def __init__(self, options: Ham10000Options, task: Task) -> None:
        self.options = options
        self.at_least = files.decoded_side(task)
        self._catalogue: files.Catalogue | None = None

    def describe(self, options: Ham10000Options) -> DatasetDescription:
        """Return the description. Raises UserError if the metadata is missing or invalid, or does not match the
        images."""
        self._catalogue = scan(options)
        return self._catalogue.description

    def fingerprint(self, options: Ham10000Options) -> Mapping[str, str]:
        """Return one SHA-256 per image, over its file and the file of its mask."""
        return files.digests(self._known(options))

    def paths(self, options: Ham10000Options) -> Mapping[str, Path | str]:
        """Return the path of each image, by id."""
        return self._known(options).images

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        return files.read_files(self._known(self.options), self.options.root, ids, self.at_least)

    def _known(self, options: Ham10000Options) -> files.Catalogue:
        if self._catalogue is None or options != self.options:
            self._catalogue = scan(options)
        return self._catalogue


def scan(options: Ham10000Options) -> files.Catalogue:
    """Read the metadata and list the folders once, and return the catalogue."""
    root = files.existing_folder(options.root, "HAM10000")
    file = _metadata(root)
    rows = files.read_table(file, ("lesion_id", "image_id", "dx"))
    images = _images(root)
    _check_rows(file, rows)
    _check_match(root, {row["image_id"] for row in rows}, set(images))
    rows.sort(key=lambda row: row["image_id"])
    ids = [row["image_id"] for row in rows]
    masks = _masks(root)
    masks = {name: masks[name] for name in ids if name in masks}
    description = DatasetDescription(
        ids=ids,
        labels=[row["dx"].lower() for row in rows],
        classes=CLASSES,
        groups=[row["lesion_id"] or f"alone:{row['image_id']}" for row in rows],
        attributes=_attributes(file, rows),
        masks=bool(masks),
        licence=LICENCE,
        citation=CITATION,
    )
    return files.Catalogue(description, {name: images[name] for name in ids}, masks)


def _metadata(root: Path) -> Path:
    by_name = {path.name.lower(): path for path in files.entries(root) if path.is_file()}
    for name in METADATA:
        if name in by_name:
            return by_name[name]
    raise UserError(f"no HAM10000_metadata (.csv, .tab or no extension) in {root}", hint="check `root`")


def _check_rows(file: Path, rows: list[dict[str, str]]) -> None:
    seen: set[str] = set()
    for row in rows:
        name, code = row["image_id"], row["dx"].lower()
        if not name or name in seen:
            raise UserError(f"image_id '{name}' occurs twice" if name else "a row has no image_id", file=file)
        seen.add(name)
        if code not in CLASSES:
            raise UserError(
                f"unknown dx '{row['dx']}' of {name}", file=file, hint=did_you_mean(code, CLASSES)
            )


def _check_match(root: Path, rows: set[str], images: set[str]) -> None:
    """Raise UserError if images are missing, for instance in a partial download. The message counts and names them."""
    if not images:
        raise UserError(
            f"no images in {root}",
            hint="expected HAM10000_images_part_1/ and _part_2/, or images/, with ISIC_*.jpg",
        )
    if rows - images:
        raise UserError(
            f"{len(rows - images)} of {len(rows)} rows of the metadata have no image in {root}: "
            f"{files.some(rows - images)}",
            hint="the download is incomplete: HAM10000_images_part_1 and _part_2 contain 5,000 and 5,015 images",
        )
    if images - rows:
        raise UserError(
            f"{len(images - rows)} of {len(images)} images in {root} have no row in the metadata: "
            f"{files.some(images - rows)}",
            hint="the metadata is incomplete, or some of the images belong to another data set",
        )


def _images(root: Path) -> dict[str, Path]:
    """Return the images by id. They are in the root, in the image folders, or in nested folders of the same names."""
    places = [root]
    for folder in files.folders(root):
        if _holds_images(folder.name):
            places += [folder, *(inner for inner in files.folders(folder) if _holds_images(inner.name))]
    found: dict[str, Path] = {}
    for place in places:
        for path in files.entries(place):
            if path.suffix.lower() in IMAGE_SUFFIXES and path.name.upper().startswith("ISIC_"):
                found.setdefault(path.stem, path)
    return found


def _holds_images(name: str) -> bool:
    return name.lower() in IMAGE_FOLDERS or name.lower().startswith("ham10000_images_part")


def _masks(root: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in files.folders(root):
        if not folder.name.lower().startswith("ham10000_segmentations_lesion"):
            continue
        for place in (folder, *files.folders(folder)):
            for path in files.entries(place):
                if path.name.lower().endswith("_segmentation.png"):
                    found.setdefault(path.stem[: -len("_segmentation")], path)
    return found


def _attributes(file: Path, rows: list[dict[str, str]]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {"age": [_age(file, row) for row in rows]}
    for name in ("sex", "localization", "dx_type", "dataset"):
        if rows and name in rows[0]:
            columns[name] = [row[name] or "unknown" for row in rows]
    return columns


def _age(file: Path, row: dict[str, str]) -> float | None:
    text = row.get("age", "")
    if text.lower() in ("", "unknown", "nan", "na"):
        return None
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"age '{text}' of {row['image_id']} is not a number", file=file) from error
