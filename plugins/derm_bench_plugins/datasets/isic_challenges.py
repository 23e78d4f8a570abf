"""isic-2017, isic-2018, isic-2019: one ground truth of 0 and 1 per part, and one more table with groups or attributes.
What differs between the years stands in `YEARS`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from derm_bench_plugins.datasets.files import Catalogue
from derm_bench_plugins.datasets.listings import (
    SPLIT_OF_PART,
    Fields,
    Listing,
    aligned,
    catalogue,
    chosen_parts,
    lookup,
    one_hot,
)
from derm_bench_plugins.datasets.published import About, Disk, Published

if TYPE_CHECKING:
    from derm_bench.specs import Task

SITE = "https://challenge.isic-archive.com/data/"
ATTRIBUTES = ("age", "sex", "site")
MALIGNANT_2017 = "melanoma"
OF_2018 = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
OF_2019 = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")


@dataclass(frozen=True)
class Year:
    """A challenge. `truth` and `extra` are the names of its tables for a part as files name it, `parts` these names;
    `codes` are the columns of the ground truth and `otherwise` the class of a row of zeros, `classes` all classes."""

    about: About
    truth: str
    extra: str
    parts: dict[str, str]
    codes: tuple[str, ...]
    classes: tuple[str, ...]
    otherwise: str | None = None


YEARS = {
    2017: Year(
        About(
            "ISIC 2017",
            SITE + "#2017",
            "ISIC-2017_Training_Part3_GroundTruth.csv and ISIC-2017_Training_Data/, and the same of Validation and "
            "Test_v2",
            licence="CC0 1.0",
            citation="Codella, N. et al. Skin lesion analysis toward melanoma detection: a challenge at ISBI 2017. "
            "arXiv:1710.05006 (2017).",
            counts={"training": 2000, "validation": 150, "test": 600},
        ),
        "ISIC-2017_{part}_Part3_GroundTruth",
        "ISIC-2017_{part}_Data_metadata",
        {"training": "Training", "validation": "Validation", "test": "Test_v2"},
        ("melanoma", "seborrheic_keratosis"),
        ("melanoma", "nevus", "seborrheic_keratosis"),
        "nevus",
    ),
    2018: Year(
        About(
            "ISIC 2018 task 3",
            SITE + "#2018",
            "ISIC2018_Task3_Training_GroundTruth.csv, ISIC2018_Task3_Training_LesionGroupings.csv and "
            "ISIC2018_Task3_Training_Input/, and the same of Validation and Test without groupings",
            licence="CC BY-NC 4.0",
            citation="Codella, N. et al. Skin lesion analysis toward melanoma detection 2018. arXiv:1902.03368 (2019); "
            "Tschandl, P. et al. The HAM10000 dataset. Sci. Data 5, 180161 (2018).",
            counts={"training": 10015, "validation": 193, "test": 1511},
        ),
        "ISIC2018_Task3_{part}_GroundTruth",
        "ISIC2018_Task3_{part}_LesionGroupings",
        {"training": "Training", "validation": "Validation", "test": "Test"},
        OF_2018,
        OF_2018,
    ),
    2019: Year(
        About(
            "ISIC 2019",
            SITE + "#2019",
            "ISIC_2019_Training_GroundTruth.csv, ISIC_2019_Training_Metadata.csv and ISIC_2019_Training_Input/, and "
            "the same of Test",
            licence="CC BY-NC 4.0",
            citation="Tschandl, P. et al. The HAM10000 dataset. Sci. Data 5, 180161 (2018); Codella, N. et al. "
            "arXiv:1710.05006 (2017); Combalia, M. et al. BCN20000: Dermoscopic lesions in the wild. arXiv:1908.02288 "
            "(2019).",
            counts={"training": 25331, "test": 8238},
        ),
        "ISIC_2019_{part}_GroundTruth",
        "ISIC_2019_{part}_Metadata",
        {"training": "Training", "test": "Test"},
        OF_2019,
        OF_2019,
    ),
}


def isic_2017(options: Any, task: Task) -> Published:
    """ISIC 2017, part 3. It has no groups. Masks of part 1 are read where they lie beside."""
    return Published(options, task, lambda given: scan(YEARS[2017], given))


def isic_2018(options: Any, task: Task) -> Published:
    """ISIC 2018, task 3. Groups are the lesions of the file of groupings; AKIEC is not the AK of 2019."""
    return Published(options, task, lambda given: scan(YEARS[2018], given))


def isic_2019(options: Any, task: Task) -> Published:
    """ISIC 2019. Groups are `lesion_id`, which some images do not have; UNK has images in the test part alone."""
    return Published(options, task, lambda given: scan(YEARS[2019], given))


def scan(year: Year, options: Any) -> Catalogue:
    """List the root and read the tables of all parts. Attributes, where a year has them: age (years), sex, site."""
    disk = Disk(options.root, year.about)
    listings = [made for part in year.parts if (made := _listing(disk, year, part))]
    wanted = year.truth.format(part=year.parts.get(options.part, year.parts["training"]))
    chosen, others = chosen_parts(listings, options.part, disk, wanted)
    classes = year.classes
    if getattr(options, "task", "diagnosis") == "malignancy":
        classes = ("benign", "malignant")
        chosen = [replace(listing, labels=list(map(_malignancy, listing.labels))) for listing in chosen]
    masks = disk.take(r"^(.+)_segmentation$")
    disk.take(r"^(.+)_superpixels$", "superpixels of the challenge's part 2")
    return catalogue(disk, chosen, options, classes, masks=masks, others=others)


def _malignancy(label: str | None) -> str:
    return "malignant" if label == MALIGNANT_2017 else "benign"


def _listing(disk: Disk, year: Year, part: str) -> Listing | None:
    """The rows of one part; None if its ground truth is not there."""
    table = disk.optional(year.truth.format(part=year.parts[part]))
    if table is None:
        return None
    image = table.column("image", "image_id")
    rows = table.read([image, *(table.column(code) for code in year.codes)])
    listing = Listing(
        rows,
        image,
        one_hot(table, rows, year.codes, year.otherwise),
        split=SPLIT_OF_PART[part],
        part=part,
    )
    return _with_extra(disk, listing, year.extra.format(part=year.parts[part]))


def _with_extra(disk: Disk, listing: Listing, name: str) -> Listing:
    """Add groups and attributes of a second table, if it is there."""
    table = disk.optional(name)
    if table is None:
        return listing
    fields = Fields(
        table,
        {"image": ("image", "image_id")},
        {
            "lesion": "lesion_id",
            "age": ("age_approx", "age_approximate"),
            "sex": "sex",
            "site": "anatom_site_general",
        },
    )
    where = lookup(fields.rows, fields.columns["image"], listing.rows[listing.image])
    lesions = fields.get("lesion")
    return replace(
        listing,
        groups=None if lesions is None else aligned(lesions, where),
        attributes={k: aligned(v, where) for k, v in fields.attributes(*ATTRIBUTES).items()},
    )
