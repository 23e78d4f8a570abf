"""Options and specs of the data sets, one module per data set or family of them. Imports no torch."""

from __future__ import annotations

from derm_bench.specs import DatasetSpec
from derm_bench_plugins.datasets.specs import (
    alopecia,
    clinics,
    faces,
    ham10000,
    image_folder,
    isic,
    phantom,
    table,
    union,
)

SPECS: list[DatasetSpec] = [
    image_folder.SPEC,
    table.SPEC,
    ham10000.SPEC,
    *isic.SPECS,
    *clinics.SPECS,
    *faces.SPECS,
    phantom.SPEC,
    phantom.FACE,
    phantom.SCALP,
    union.SPEC,
    alopecia.SPEC,
]
