"""Options and spec of `ham10000`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from derm_bench.specs import DatasetSpec, Options


class Ham10000Options(Options):
    """Options of HAM10000, in the folder structure of its unpacked archives."""

    root: Path = Field(description="folder with HAM10000_metadata and the image folders")


SPEC = DatasetSpec(
    name="ham10000",
    summary="10,015 dermoscopy images of seven diagnoses, grouped by lesion",
    paper="Tschandl, Rosendahl, Kittler: The HAM10000 dataset, Scientific Data 5, 180161 (2018)",
    create="derm_bench_plugins.datasets.ham10000:Ham10000",
    options=Ham10000Options,
    recognise="derm_bench_plugins.datasets.recognising:ham10000",
)
