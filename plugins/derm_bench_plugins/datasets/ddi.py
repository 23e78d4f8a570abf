"""ddi: Diverse Dermatology Images, 656 photographs of light and dark skin, for tests (Daneshjou et al., 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench.specs import Note
from derm_bench_plugins.datasets.files import Catalogue
from derm_bench_plugins.datasets.listings import Fields, Listing, catalogue
from derm_bench_plugins.datasets.published import About, Disk, Published

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.clinics import DdiOptions

TRUTH = {"true": "malignant", "false": "benign", "1": "malignant", "0": "benign"}
ABOUT = About(
    "DDI",
    source="https://ddi-dataset.github.io",
    layout="ddi_metadata.csv and 000001.png to 000656.png",
    licence="Stanford University research use agreement: no redistribution",
    citation="Daneshjou, R. et al. Disparities in dermatology AI performance on a diverse, curated clinical image set. "
    "Science Advances 8, eabq6147 (2022).",
    counts={"": 656},
)
FOR_TESTS = "the images are for tests: all are in the test part of the given split"


def make(options: DdiOptions, task: Task) -> Published:
    """DDI. It has no groups."""
    return Published(options, task, scan)


def scan(options: DdiOptions) -> Catalogue:
    """List the root and read the table. Attribute: tone (Fitzpatrick types 12, 34 or 56)."""
    disk = Disk(options.root, ABOUT)
    fields = Fields(
        disk.table("ddi_metadata"),
        {
            "image": "DDI_file",
            "label": "disease" if options.task == "diagnosis" else "malignant",
            "tone": "skin_tone",
        },
    )
    if options.task == "diagnosis":
        labels = list(fields["label"])
        classes = sorted({value for value in labels if value})
    else:
        labels = list(fields.coded("label", tuple(TRUTH), TRUTH))
        classes = ["benign", "malignant"]
    attributes = fields.attributes("tone")
    listing = Listing(fields.rows, fields.columns["image"], labels, None, attributes, "test")
    return catalogue(disk, [listing], options, classes, notes=[Note(FOR_TESTS)])
