"""medmnist: DermaMNIST, the images of HAM10000 as arrays with a split of their own (Yang et al., Sci. Data 10, 41)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from derm_bench.errors import UserError
from derm_bench.specs import DatasetDescription, Note, RawImage
from derm_bench_plugins.datasets import files
from derm_bench_plugins.datasets.npz_rows import Npz, Rows
from derm_bench_plugins.datasets.published import About, digests_inside

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.faces import MedmnistOptions

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
PARTS = ("train", "val", "test")
COUNTS = {"train": 7007, "val": 1003, "test": 2005}
ABOUT = About(
    "MedMNIST",
    source="https://doi.org/10.5281/zenodo.10519652 (Zenodo)",
    layout="dermamnist.npz (28 pixels), dermamnist_64.npz, dermamnist_128.npz or dermamnist_224.npz",
    licence="CC BY-NC 4.0",
    citation="Yang, J. et al. MedMNIST v2 - A large-scale lightweight benchmark for 2D and 3D biomedical image "
    "classification. Sci. Data 10, 41 (2023); Tschandl, P. et al. Sci. Data 5, 180161 (2018).",
)
LEAKS = (
    "there are no ids and no lesions: images of one lesion are in several parts of the given split, and scores on its "
    "test part are too high; ham10000 has the lesions"
)


class Medmnist:
    """DermaMNIST. Ids are `train/00000`: the part and the row."""

    def __init__(self, options: MedmnistOptions, task: Task) -> None:
        self.options = options

    @cached_property
    def _arrays(self) -> dict[str, Rows]:
        return _arrays(self.options)

    def describe(self, options: MedmnistOptions) -> DatasetDescription:
        """Return the description. Raises UserError if the file is not there, or is not DermaMNIST of that side."""
        file, arrays = _file(options), _arrays(options)
        ids: list[str] = []
        labels: list[str] = []
        given: list[str] = []
        for part in PARTS:
            codes = arrays[f"{part}_labels"].whole().reshape(-1).tolist()
            _refuse_unknown(file, part, codes)
            ids += _ids(part, len(codes))
            labels += [CLASSES[code] for code in codes]
            given += [part] * len(codes)
        return DatasetDescription(
            ids=ids,
            labels=labels,
            classes=[name for name in CLASSES if name in set(labels)],
            given_split=given,
            licence=ABOUT.licence,
            citation=ABOUT.citation,
            notes=[Note(LEAKS), *_of_counts(given)],
        )

    def fingerprint(self, options: MedmnistOptions) -> Mapping[str, str]:
        """Return one SHA-256 per image, of the file and the id."""
        arrays = _arrays(options)
        ids = [name for part in PARTS for name in _ids(part, arrays[f"{part}_images"].shape[0])]
        return digests_inside(_file(options), ids)

    def read(self, ids: Sequence[str]) -> Iterator[RawImage]:
        for part, names in groupby(ids, key=lambda name: name.partition("/")[0]):
            rows = [int(name.partition("/")[2]) for name in names]
            for pixels in self._arrays[f"{part}_images"].take(rows):
                yield RawImage(pixels)


def _ids(part: str, count: int) -> list[str]:
    return [f"{part}/{row:05d}" for row in range(count)]


def _name(side: int) -> str:
    return "dermamnist.npz" if side == 28 else f"dermamnist_{side}.npz"


def _file(options: MedmnistOptions) -> Path:
    """The file of the side that the options name."""
    place = options.root.expanduser().absolute()
    if place.is_file():
        return place
    folder, wanted = files.existing_folder(place, ABOUT.title), _name(options.side)
    inside = [inner for parent in (folder, *files.folders(folder)) for inner in files.entries(parent)]
    found: dict[str, Path] = {}
    for path in inside:
        if path.suffix.lower() == ".npz":
            found.setdefault(path.name.lower(), path)
    if wanted in found:
        return found[wanted]
    other = [side for side in (28, 64, 128, 224) if _name(side) in found]
    here = f"it has {files.some(found)}" if found else "it has no .npz file"
    raise UserError(
        f"no {wanted} in {folder} or the folders in it; {here}",
        hint=f"set `side: {other[0]}`" if other else f"{ABOUT.hint}; check `root`",
    )


def _arrays(options: MedmnistOptions) -> dict[str, Rows]:
    """The arrays of images and labels, with their shapes checked."""
    archive = Npz(_file(options))
    arrays = {
        f"{part}_{kind}": archive.array(f"{part}_{kind}") for part in PARTS for kind in ("images", "labels")
    }
    for part in PARTS:
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        side = images.shape[1] if len(images.shape) == 4 else 0
        if images.dtype != np.uint8 or images.shape[1:] != (side, side, 3):
            message = f"{part}_images must be uint8 [N,side,side,3], not {images.dtype} {list(images.shape)}"
            raise UserError(message, file=archive.file, hint="of MedMNIST, DermaMNIST is read")
        if side != options.side:
            message = f"has images of {side} pixels, and `side` is {options.side}"
            raise UserError(message, file=archive.file, hint=f"set `side: {side}`")
        if labels.shape not in ((images.shape[0], 1), (images.shape[0],)):
            message = f"{part}_labels has the shape {list(labels.shape)} for {images.shape[0]} images"
            raise UserError(message, file=archive.file)
    return arrays


def _refuse_unknown(file: Path, part: str, codes: Sequence[int]) -> None:
    unknown = sorted({code for code in codes if not 0 <= code < len(CLASSES)})
    if unknown:
        listed = ", ".join(map(str, unknown[:10]))
        message = f"unknown labels in {part}_labels: {listed}, first in row {codes.index(unknown[0])}"
        raise UserError(
            message, file=file, hint="labels are 0 (akiec) to 6 (vasc); of MedMNIST, DermaMNIST is read"
        )


def _of_counts(given: Sequence[str]) -> list[Note]:
    found = {part: given.count(part) for part in PARTS}
    if found == COUNTS:
        return []
    listed = [" / ".join(f"{counts[part]:,}" for part in PARTS) for counts in (found, COUNTS)]
    return [Note(f"{listed[0]} images (train / val / test), where {listed[1]} were published")]
