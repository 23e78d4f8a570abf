"""The built-in data sets. Only options are imported here; `create` is followed when one is used."""

from __future__ import annotations

from derm_bench.specs import DatasetSpec
from derm_bench_plugins.datasets.options import Ham10000Options, ImageFolderOptions, PhantomOptions

HERE = "derm_bench_plugins.datasets"


def specs() -> list[DatasetSpec]:
    """Every built-in data set."""
    return [
        DatasetSpec(
            name="image-folder",
            summary="class folders of images, with or without train, val and test above them",
            create=f"{HERE}.image_folder:ImageFolder",
            options=ImageFolderOptions,
        ),
        DatasetSpec(
            name="ham10000",
            summary="10,015 dermoscopy images of seven diagnoses, grouped by lesion",
            paper="Tschandl, Rosendahl, Kittler: The HAM10000 dataset, Scientific Data 5, 180161 (2018)",
            create=f"{HERE}.ham10000:Ham10000",
            options=Ham10000Options,
        ),
        DatasetSpec(
            name="phantom-dermoscopy",
            summary="procedural dermoscopy of up to seven diagnoses: no download, as many images as wanted",
            create=f"{HERE}.phantom.dataset:PhantomDermoscopy",
            options=PhantomOptions,
            presets={"tiny": {"images": 48, "side": 32}, "smoke": {"images": 150, "side": 64}},
        ),
    ]
