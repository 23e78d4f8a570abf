"""pad-ufes-20: 2,298 smartphone photographs of six skin lesions (Pacheco et al., Data in Brief 32, 106221, 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench_plugins.datasets.files import Catalogue
from derm_bench_plugins.datasets.listings import Fields, Listing, catalogue
from derm_bench_plugins.datasets.published import About, Disk, Published

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.clinics import PadUfes20Options

CODES = ("ACK", "BCC", "MEL", "NEV", "SCC", "SEK")
CANCERS = ("BCC", "MEL", "SCC")
MALIGNANCY = {code: "malignant" if code in CANCERS else "benign" for code in CODES}
ABOUT = About(
    "PAD-UFES-20",
    source="https://doi.org/10.17632/zr7vgbcyr2.1 (Mendeley Data)",
    layout="metadata.csv and imgs_part_1/ to imgs_part_3/, or all images in one folder",
    licence="CC BY 4.0",
    citation="Pacheco, A. G. C. et al. PAD-UFES-20: a skin lesion dataset composed of patient data and clinical images "
    "collected from smartphones. Data in Brief 32, 106221 (2020).",
    counts={"": 2298, "BCC": 845, "ACK": 730, "NEV": 244, "SEK": 235, "SCC": 192, "MEL": 52},
)


def make(options: PadUfes20Options, task: Task) -> Published:
    """PAD-UFES-20. Groups are patients. ACK (actinic keratosis) counts as benign, as in the paper."""
    return Published(options, task, scan)


def scan(options: PadUfes20Options) -> Catalogue:
    """List the root and read the metadata. Attributes: age (years), sex, site, tone (Fitzpatrick type, in a column that
    is spelled fitspatrick), lesion, biopsied."""
    disk = Disk(options.root, ABOUT)
    fields = Fields(
        disk.table("metadata"),
        {"image": "img_id", "label": "diagnostic", "patient": "patient_id"},
        {
            "age": "age",
            "sex": "gender",
            "site": "region",
            "tone": ("fitspatrick", "fitzpatrick"),
            "lesion": "lesion_id",
            "biopsied": ("biopsed", "biopsied"),
        },
    )
    malignancy = options.task == "malignancy"
    classes = ("benign", "malignant") if malignancy else CODES
    labels = fields.coded("label", CODES, MALIGNANCY if malignancy else None)
    attributes = fields.attributes("age", "sex", "site", "tone", "lesion", "biopsied")
    listing = Listing(fields.rows, fields.columns["image"], labels, fields["patient"], attributes)
    return catalogue(disk, [listing], options, classes)
