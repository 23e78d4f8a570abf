"""Which folders the built-in data sets can read: the functions that `recognise` of their specs names.

They look at the names of files and folders down to three levels and at the first lines of tables, so that any folder is
looked at within a second or two.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from derm_bench.errors import UserError
from derm_bench.imageio import SUFFIXES
from derm_bench.specs import Recognised
from derm_bench_plugins.datasets.folder_groups import GROUP_COLUMNS, IMAGE_COLUMNS, LABEL_COLUMNS
from derm_bench_plugins.datasets.folder_layout import split_of
from derm_bench_plugins.datasets.tables import SUFFIXES as TABLE_SUFFIXES
from derm_bench_plugins.datasets.tables import open_table

SEVERAL, CERTAIN, LIKELY, LAYOUT, GUESS = 0.96, 0.95, 0.8, 0.5, 0.2
"""Confidence: what shows several data sets together; names and columns of this data set alone; columns of this data set
in a file of any name; a general layout; a guess."""
ATTRIBUTE_COLUMNS = {
    "age": ("age", "age_approx", "patient_age"),
    "sex": ("sex", "gender"),
    "site": (
        "site",
        "localization",
        "anatom_site_general",
        "anatom_site_general_challenge",
        "region",
        "location",
    ),
    "tone": ("skin_tone", "fitzpatrick", "fitzpatrick_scale", "fitspatrick", "skin_type", "tone"),
    "licence": ("licence", "license", "copyright_license"),
}
"""Usual names of the columns of attributes."""
MAX_LOOKED_AT = 1_000_000
"""The largest number of entries of a folder that are looked at."""
MAX_FOLDERS = 200
"""The largest number of folders in which tables are looked for."""


def names_in(folder: str | Path) -> tuple[list[str], list[str]]:
    """Return the names of folders and of files in a folder, sorted, without hidden ones; at most `MAX_LOOKED_AT`, and
    none of a folder that cannot be opened."""
    try:
        return _names_in(str(folder), os.stat(folder).st_mtime_ns)  # noqa: PTH116
    except (OSError, ValueError):
        return [], []


@functools.lru_cache(maxsize=1024)
def _names_in(folder: str, changed: int) -> tuple[list[str], list[str]]:
    """The names, for a time of change: many data sets look into the same folders."""
    folders: list[str] = []
    files: list[str] = []
    with os.scandir(folder) as found:
        for entry in itertools.islice(found, MAX_LOOKED_AT):
            if not entry.name.startswith("."):
                (folders if entry.is_dir() else files).append(entry.name)
    return sorted(folders), sorted(files)


def places(folder: Path, depth: int = 2) -> list[Path]:
    """Return a folder and those in it down to `depth` levels, upper ones first; at most `MAX_FOLDERS`."""
    found, level = [folder], [folder]
    for _ in range(depth):
        level = [place / name for place in level for name in names_in(place)[0]][: MAX_FOLDERS - len(found)]
        found += level
    return found


def files_near(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield the files in a folder, or in those in it, whose name begins with a match of a pattern in any case."""
    wanted = re.compile(pattern, re.IGNORECASE)
    for place in places(folder):
        yield from (place / name for name in names_in(place)[1] if wanted.match(name))


def by_table(
    folder: Path, title: str, pattern: str, columns: Sequence[str], confidence: float = CERTAIN
) -> Recognised | None:
    """Recognise a data set by a table near the top of a folder whose name begins with a match of `pattern` and that has
    all `columns`."""
    for file in files_near(folder, pattern):
        if file.suffix.lower() not in TABLE_SUFFIXES:
            continue
        try:
            table = open_table(file)
            if all(table.optional(name) for name in columns):
                place = file.relative_to(folder).as_posix()
                return Recognised(f"{title}: {place} has the columns {', '.join(columns)}", confidence)
        except UserError:
            continue
    return None


def by_name(folder: Path, title: str, pattern: str) -> Recognised | None:
    """Recognise a data set by a file near the top of a folder, or by a folder there, whose name begins with a match of
    `pattern`."""
    for place in places(folder):
        for name in (name for names in names_in(place) for name in names):
            if re.match(pattern, name, re.IGNORECASE):
                return Recognised(
                    f"{title}: there is {(place / name).relative_to(folder).as_posix()}", CERTAIN
                )
    return None


Recogniser = Callable[[Path], Recognised | None]


def _table(title: str, pattern: str, *columns: str, confidence: float = CERTAIN) -> Recogniser:
    return functools.partial(by_table, title=title, pattern=pattern, columns=columns, confidence=confidence)


_HAM = ("lesion_id", "image_id", "dx")
_HAM_BY_NAME = _table("HAM10000", "HAM10000_metadata", *_HAM)
_HAM_BY_COLUMNS = _table("HAM10000", "", *_HAM, "dx_type", confidence=LIKELY)
isic_2017 = _table("ISIC 2017", "ISIC-2017_", "image_id", "melanoma", "seborrheic_keratosis")
isic_2018 = _table("ISIC 2018", "ISIC2018_Task3_", "image", "MEL", "AKIEC", "VASC")
isic_2019 = _table("ISIC 2019", "ISIC_2019_", "image", "MEL", "AK", "SCC")
isic_2020 = _table(
    "ISIC 2020", "(ISIC_2020_|train)", "image_name", "patient_id", "benign_malignant", "target"
)
_ISIC_2024_KAGGLE = _table("ISIC 2024", "(train-)?metadata", "isic_id", "target", "tbp_tile_type")
_ISIC_2024_TRUTH = _table("ISIC 2024", "ISIC_2024_Training_GroundTruth", "isic_id", "malignant")
isic_archive = _table(
    "ISIC archive", ".*metadata", "isic_id", "attribution", "copyright_license", confidence=LIKELY
)
milk10k = _table("MILK10k", "MILK10k_Training_GroundTruth", "lesion_id", "AKIEC", "SCCKA")
pad_ufes_20 = _table("PAD-UFES-20", "metadata", "patient_id", "lesion_id", "img_id", "diagnostic")
fitzpatrick17k = _table("Fitzpatrick17k", "fitzpatrick17k", "md5hash", "label")
ddi = _table("DDI", "ddi_metadata", "DDI_file")
ph2 = functools.partial(by_name, title="PH2", pattern="PH2([ _]dataset|$)")
acne04 = functools.partial(by_name, title="ACNE04", pattern="NNEW_|(Classification|JPEGImages)$")
figaro1k = functools.partial(by_name, title="Figaro1k", pattern=r"Frame\d{5}-(org|gt)|Original$")


def ham10000(folder: Path) -> Recognised | None:
    """Recognise HAM10000 by its metadata."""
    return _HAM_BY_NAME(folder) or _HAM_BY_COLUMNS(folder)


def isic_2024(folder: Path) -> Recognised | None:
    """Recognise ISIC 2024 by the metadata of Kaggle, or the ground truth of the archive."""
    return _ISIC_2024_KAGGLE(folder) or _ISIC_2024_TRUTH(folder)


def dermnet(folder: Path) -> Recognised | None:
    """Recognise DermNet by folders of conditions."""
    for place in places(folder):
        named = [
            name
            for name in names_in(place)[0]
            if name.lower().startswith(("acne and rosacea", "eczema photo"))
        ]
        if named:
            return Recognised(
                f"DermNet: there is {(place / named[0]).relative_to(folder).as_posix()}", CERTAIN
            )
    return None


def alopecia(folder: Path) -> Recognised | None:
    """Recognise a folder with both Figaro1k and DermNet."""
    hair, conditions = figaro1k(folder), dermnet(folder)
    if hair is None or conditions is None:
        return None
    return Recognised(f"{hair.reason}; {conditions.reason}", SEVERAL)


def medmnist(place: Path) -> Recognised | None:
    """Recognise DermaMNIST by the name of its file."""
    if place.is_file():
        named = [place] if re.match(r"dermamnist(_\d+)?\.npz$", place.name, re.IGNORECASE) else []
    else:
        named = list(files_near(place, r"dermamnist(_\d+)?\.npz$"))
    return Recognised(f"DermaMNIST: there is {named[0].name}", CERTAIN) if named else None


def image_folder(folder: Path) -> Recognised | None:
    """Recognise a folder with one folder of images per class, or with those of train, val and test. The folders may lie
    in a single folder, as of an archive."""
    for _ in range(3):
        tops = names_in(folder)[0]
        filled = [name for name in tops if has_images(folder / name)]
        splits = [name for name in filled if split_of(name)]
        if splits:
            inner = Counter(name for top in splits for name in names_in(folder / top)[0])
            found = f"folders {_listed(splits)} with folders of images ({_listed(sorted(inner))})"
            return Recognised(found, LAYOUT) if len(inner) > 1 else None
        if len(filled) != 1:
            break
        folder = folder / filled[0]
    if len(filled) < 2:
        return None
    return Recognised(f"{len(filled)} folders of images, one per class ({_listed(filled)})", LAYOUT)


def image_table(place: Path) -> Recognised | None:
    """Recognise a table with columns of images and labels by the names that are usual for them: a file, or one near the
    top of a folder with images. The columns are a guess; a matrix names them."""
    folder = place.parent if place.is_file() else place
    if not has_images(folder):
        return None
    for file in [place] if place.is_file() else files_near(folder, ""):
        if file.suffix.lower() not in TABLE_SUFFIXES or file.suffix.lower() in ("", ".txt"):
            continue
        try:
            table = open_table(file)
        except UserError:
            continue
        image, label = table.optional(*IMAGE_COLUMNS), table.optional(*LABEL_COLUMNS)
        if image and label:
            columns = {"image": image, "label": label, "group": table.optional(*GROUP_COLUMNS)}
            columns = {name: column for name, column in columns.items() if column}
            named = {name: table.optional(*names) for name, names in ATTRIBUTE_COLUMNS.items()}
            attributes = {name: column for name, column in named.items() if column}
            options = {"file": file, "root": folder, "columns": columns}
            options |= {"attributes": attributes} if attributes else {}
            found = (
                f"{file.relative_to(folder).as_posix()} has the columns {image} (image) and {label} (label)"
            )
            return Recognised(found, LAYOUT if place.is_file() else GUESS, options)
    return None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def has_images(folder: Path, depth: int = 3) -> bool:
    """Whether there are images in a folder, or in the folders in it down to `depth` levels."""
    folders, files = names_in(folder)
    if any(os.path.splitext(name)[1].lower() in SUFFIXES for name in files):  # noqa: PTH122
        return True
    return depth > 0 and any(has_images(folder / name, depth - 1) for name in folders[:20])
