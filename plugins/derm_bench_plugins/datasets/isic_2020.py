"""isic-2020: 33,126 dermoscopy images of 2,056 patients (Rotemberg et al., Sci. Data 8, 34, 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench.specs import Note
from derm_bench_plugins.datasets.files import Catalogue
from derm_bench_plugins.datasets.joined_groups import joined
from derm_bench_plugins.datasets.listings import Fields, Listing, catalogue
from derm_bench_plugins.datasets.published import About, Disk, Published, stem

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.isic import Isic2020Options

MALIGNANCY = ("benign", "malignant")
TRUTH = ("ISIC_2020_Training_GroundTruth_v2", "ISIC_2020_Training_GroundTruth", "train")
DUPLICATES = "ISIC_2020_Training_Duplicates"
ABOUT = About(
    "ISIC 2020",
    source="https://challenge.isic-archive.com/data/#2020 or Kaggle (siim-isic-melanoma-classification)",
    layout="train.csv or ISIC_2020_Training_GroundTruth.csv, and the images as JPEG (jpeg/train/ or "
    "ISIC_2020_Training_JPEG/); DICOM is not read",
    licence="CC BY-NC 4.0",
    citation="Rotemberg, V. et al. A patient-centric dataset of images and metadata for identifying melanomas using "
    "clinical context. Sci. Data 8, 34 (2021).",
    counts={"": 33126, "malignant": 584},
)


def make(options: Isic2020Options, task: Task) -> Published:
    """ISIC 2020. Groups are patients; images that the archive's list of duplicates names are in one group."""
    return Published(options, task, scan)


def scan(options: Isic2020Options) -> Catalogue:
    """List the root and read the tables. Attributes: age (years), sex, site."""
    disk = Disk(options.root, ABOUT)
    label = "diagnosis" if options.task == "diagnosis" else "benign_malignant"
    fields = Fields(
        disk.table(*TRUTH),
        {"image": "image_name", "patient": "patient_id", "label": label},
        {"age": "age_approx", "sex": "sex", "site": "anatom_site_general_challenge"},
        verbatim=["label"],
    )
    if options.task == "diagnosis":
        classes = tuple(sorted({value for value in fields["label"] if value}))
        labels = list(fields["label"])
    else:
        classes, labels = MALIGNANCY, list(fields.coded("label", MALIGNANCY))
    groups, note = _with_duplicates(disk, fields)
    attributes = fields.attributes("age", "sex", "site")
    listing = Listing(fields.rows, fields.columns["image"], labels, groups, attributes)
    return catalogue(disk, [listing], options, classes, notes=[note] if note else [])


def _with_duplicates(disk: Disk, fields: Fields) -> tuple[list[str | None], Note | None]:
    """The patients, those with copies of one image joined, and a note about them."""
    patients = fields["patient"]
    table = disk.optional(DUPLICATES)
    if table is None:
        return patients, None
    pairs = Fields(table, {"first": "image_name_1", "second": "image_name_2"})
    firsts = {stem(name or ""): name for name in pairs["first"]}
    copies = [(stem(a or ""), stem(b or "")) for a, b in zip(pairs["first"], pairs["second"], strict=True)]
    names = [stem(name or "") for name in fields["image"]]
    return joined(names, [patients], copies), Note(
        f"images that {table.file.name} lists as copies are in one group", sorted(firsts)
    )
