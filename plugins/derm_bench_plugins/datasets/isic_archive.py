"""isic-archive: what isic-cli or the web site of the ISIC archive downloads, with a licence for each image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.specs import Note
from derm_bench_plugins.datasets.files import Catalogue
from derm_bench_plugins.datasets.joined_groups import joined
from derm_bench_plugins.datasets.listings import Fields, Listing, catalogue
from derm_bench_plugins.datasets.published import About, Disk, Published, stem
from derm_bench_plugins.datasets.tables import Table, open_table

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.datasets.specs.isic import IsicArchiveOptions

ABOUT = About(
    "a download from the ISIC archive",
    source="https://www.isic-archive.com, or with the program `isic` of the package isic-cli",
    layout="metadata.csv with a column isic_id, and <isic_id>.jpg",
    citation="International Skin Imaging Collaboration (ISIC) archive, https://www.isic-archive.com",
)
ATTRIBUTES: dict[str, str | tuple[str, ...]] = {
    "age": "age_approx",
    "sex": "sex",
    "site": ("anatom_site_general", "anatom_site_1"),
    "tone": "fitzpatrick_skin_type",
    "source": "attribution",
    "licence": "copyright_license",
    "image_type": "image_type",
}


def make(options: IsicArchiveOptions, task: Task) -> Published:
    """Images of the ISIC archive. Images of one patient or one lesion are a group."""
    return Published(options, task, scan)


def scan(options: IsicArchiveOptions) -> Catalogue:
    """List the root and read the metadata. Attributes: age (years), sex, site, tone (Fitzpatrick type), source
    (attribution), licence, image_type."""
    disk = Disk(options.root, ABOUT)
    table = _metadata(disk)
    label = table.column(options.label_column, path=("label_column",))
    fields = Fields(
        table,
        {"image": "isic_id", "label": label},
        {"patient": "patient_id", "lesion": "lesion_id", **ATTRIBUTES},
    )
    ids = [stem(name or "") for name in fields["image"]]
    columns = [column for name in ("patient", "lesion") if (column := fields.get(name))]
    groups = joined(ids, columns) if columns else None
    labels = fields["label"]
    if not any(labels):
        raise UserError(
            f"column '{label}' has no value", file=table.file, hint="choose another `label_column`"
        )
    listing = Listing(fields.rows, fields.columns["image"], labels, groups, fields.attributes(*ATTRIBUTES))
    classes = sorted({value for value in labels if value})
    made = catalogue(disk, [listing], options, classes, notes=_licences(fields))
    return made


def _metadata(disk: Disk) -> Table:
    """The uppermost table that is called metadata and has the ids of the archive."""
    others = []
    for path in sorted(disk.files(r"metadata[^/]*\.(csv|tsv|tab|xlsx|parquet)$"), key=_level):
        table = open_table(Path(path))
        if table.optional("isic_id"):
            disk.used.append(table.file)
            return table
        others.append(disk.images.name(path))
    seen = f" ({', '.join(others[:3])} has none)" if others else ""
    raise disk.absent(f"no metadata.csv with a column isic_id{seen}")


def _level(path: str) -> tuple[int, bool, str]:
    return path.count(os.sep), not path.endswith(f"{os.sep}metadata.csv"), path


def _licences(fields: Fields) -> list[Note]:
    licences = sorted({value for value in fields.get("licence") or () if value})
    return [Note("each image has its own licence, in the attribute `licence`", licences)] if licences else []
