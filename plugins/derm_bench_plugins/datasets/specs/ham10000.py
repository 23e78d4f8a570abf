"""Options and spec of `ham10000`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from derm_bench.specs import DatasetSpec
from derm_bench_plugins.datasets.specs.shared import AllowsMissing


class Ham10000Options(AllowsMissing):
    """Options of HAM10000."""

    root: Path = Field(description="folder with HAM10000_metadata and the images, at any depth")


SPEC = DatasetSpec(
    name="ham10000",
    summary="10,015 dermoscopy images of seven diagnoses, grouped by lesion",
    paper="Tschandl, Rosendahl, Kittler: The HAM10000 dataset, Scientific Data 5, 180161 (2018)",
    create="derm_bench_plugins.datasets.ham10000:make",
    options=Ham10000Options,
    recognise="derm_bench_plugins.datasets.recognising:ham10000",
)
