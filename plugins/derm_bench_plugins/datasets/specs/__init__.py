"""Options and specs of the data sets, one module per data set. Imports no torch."""

from __future__ import annotations

from derm_bench.specs import DatasetSpec
from derm_bench_plugins.datasets.specs import ham10000, image_folder, phantom, table

SPECS: list[DatasetSpec] = [image_folder.SPEC, table.SPEC, ham10000.SPEC, phantom.SPEC]
