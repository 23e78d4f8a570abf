"""ham10000: 10,015 dermoscopy images of seven diagnoses (Tschandl et al., Sci. Data 5, 180161, 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench_plugins.datasets.files import Catalogue
from derm_bench_plugins.datasets.listings import Fields, Listing, catalogue
from derm_bench_plugins.datasets.published import About, Disk, Published

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.ham10000 import Ham10000Options

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
ABOUT = About(
    "HAM10000",
    source="https://doi.org/10.7910/DVN/DBW86T (Harvard Dataverse)",
    layout="HAM10000_metadata (.csv, .tab or no extension), HAM10000_images_part_1/ (5,000 images) and "
    "HAM10000_images_part_2/ (5,015), or all images in one folder",
    licence="CC BY-NC 4.0",
    citation="Tschandl, P., Rosendahl, C. & Kittler, H. The HAM10000 dataset, a large collection of multi-source "
    "dermatoscopic images of common pigmented skin lesions. Sci. Data 5, 180161 (2018).",
    counts={
        "": 10015, "nv": 6705, "mel": 1113, "bkl": 1099, "bcc": 514, "akiec": 327, "vasc": 142, "df": 115,
    },
)  # fmt: skip


def make(options: Ham10000Options, task: Task) -> Published:
    """HAM10000. Groups are `lesion_id`; there is no patient id. Masks are read where they lie beside."""
    return Published(options, task, scan)


def scan(options: Ham10000Options) -> Catalogue:
    """List the root and read the metadata. Attributes: age (years), sex, site, dx_type (how the diagnosis was made),
    source."""
    disk = Disk(options.root, ABOUT)
    fields = Fields(
        disk.table("HAM10000_metadata"),
        {"lesion": "lesion_id", "image": "image_id", "dx": "dx"},
        {"age": "age", "sex": "sex", "site": "localization", "dx_type": "dx_type", "source": "dataset"},
    )
    masks = disk.take(r"^(.+)_segmentation$")
    attributes = fields.attributes("age", "sex", "site", "dx_type", "source")
    labels = fields.coded("dx", CLASSES)
    listing = Listing(fields.rows, fields.columns["image"], labels, fields["lesion"], attributes)
    return catalogue(disk, [listing], options, CLASSES, masks=masks)
