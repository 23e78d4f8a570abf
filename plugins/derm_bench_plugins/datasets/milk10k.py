"""milk10k: 5,240 lesions, each as a clinical close-up and a dermoscopic image (Tschandl et al., MILK10k, 2025)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench_plugins.datasets.files import Catalogue
from derm_bench_plugins.datasets.listings import Fields, Listing, catalogue, one_hot
from derm_bench_plugins.datasets.published import About, Disk, Published

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.isic import Milk10kOptions

CODES = ("AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV", "SCCKA", "VASC")
ATTRIBUTES: dict[str, str | tuple[str, ...]] = {
    "age": "age_approx",
    "sex": "sex",
    "site": "site",
    "tone": "skin_tone_class",
    "source": "attribution",
    "licence": "copyright_license",
}
ABOUT = About(
    "MILK10k",
    source="https://challenge.isic-archive.com/data/#milk10k",
    layout="MILK10k_Training_GroundTruth.csv, MILK10k_Training_Metadata.csv and MILK10k_Training_Input/",
    licence="CC BY-NC 4.0",
    citation="MILK study team. MILK10k. ISIC Archive (2025), doi:10.34970/648456",
)


def make(options: Milk10kOptions, task: Task) -> Published:
    """MILK10k. Groups are the lesions, of two images each. Squamous cell carcinoma and keratoacanthoma (SCCKA)
    are a class apart from AKIEC."""
    return Published(options, task, scan)


def scan(options: Milk10kOptions) -> Catalogue:
    """List the root and read both tables. Attributes: image_type, age (years), sex, site, tone (class of skin
    tone), source, licence."""
    disk = Disk(options.root, ABOUT)
    truth = disk.table("MILK10k_Training_GroundTruth")
    lesion = truth.column("lesion_id")
    rows = truth.read([lesion, *(truth.column(code) for code in CODES)])
    rows.names(lesion, "lesion")
    label_of = dict(zip(rows[lesion], one_hot(truth, rows, CODES), strict=True))
    fields = Fields(
        disk.table("MILK10k_Training_Metadata"),
        {"lesion": "lesion_id", "image": "isic_id", "image_type": "image_type"},
        ATTRIBUTES,
    )
    for row, name in enumerate(fields["lesion"]):
        if name not in label_of:
            message = f"lesion '{name}' has no row in {truth.file.name}"
            raise fields.rows.error(message, row, column=fields.columns["lesion"])
    listing = Listing(
        fields.rows,
        fields.columns["image"],
        [label_of[name or ""] for name in fields["lesion"]],
        fields["lesion"],
        fields.attributes("image_type", *ATTRIBUTES),
    )
    if options.image_type == "all":
        return catalogue(disk, [listing], options, CODES)
    chosen = [(kind or "").lower().startswith(options.image_type) for kind in fields["image_type"]]
    others = listing.where([not use for use in chosen])
    return catalogue(disk, [listing.where(chosen)], options, CODES, others=[others])
