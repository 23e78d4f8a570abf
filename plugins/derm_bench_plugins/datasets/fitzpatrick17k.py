"""fitzpatrick17k: 16,577 photographs of 114 conditions with Fitzpatrick types (Groh et al., CVPR workshops 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench.specs import Note
from derm_bench_plugins.datasets.files import Catalogue
from derm_bench_plugins.datasets.listings import Fields, Listing, catalogue
from derm_bench_plugins.datasets.published import About, Disk, Published

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.clinics import Fitzpatrick17kOptions

ABOUT = About(
    "Fitzpatrick17k",
    source="https://github.com/mattgroh/fitzpatrick17k, whose table has the URL of each image",
    layout="fitzpatrick17k.csv and <md5hash>.jpg",
    licence="CC BY-NC-SA 3.0",
    citation="Groh, M. et al. Evaluating deep neural networks trained on clinical images in dermatology with the "
    "Fitzpatrick 17k dataset. CVPR Workshops (2021).",
    counts={"": 16577},
)


def make(options: Fitzpatrick17kOptions, task: Task) -> Published:
    """Fitzpatrick17k. It has no groups."""
    return Published(options, task, scan)


def scan(options: Fitzpatrick17kOptions) -> Catalogue:
    """List the root and read the table. Attributes: tone (Fitzpatrick type 1 to 6), quality (the control by
    dermatologists, for some images)."""
    disk = Disk(options.root, ABOUT)
    fields = Fields(
        disk.table("fitzpatrick17k"),
        {"image": "md5hash", "label": options.label_column},
        {"tone": ("fitzpatrick_scale", "fitzpatrick"), "quality": "qc"},
    )
    labels = fields["label"]
    attributes = fields.attributes("tone", "quality")
    if "tone" in attributes:
        attributes["tone"] = [None if tone == "-1" else tone for tone in attributes["tone"]]
    listing = Listing(fields.rows, fields.columns["image"], labels, None, attributes)
    classes = sorted({value for value in labels if value})
    note = Note("there are no groups: photographs of one person may be in training and test")
    return catalogue(disk, [listing], options, classes, notes=[note])
