"""Options and spec of `image-folder`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from derm_bench.specs import DatasetSpec, Options


class ImageFolderOptions(Options):
    """Options of a folder that contains one folder per class."""

    root: Path = Field(description="folder with class/*, or with folders train|val|test that contain class/*")
    groups: Path | None = Field(
        None,
        description="CSV file with columns image,group (lesion or patient) for every image; default: root/groups.csv",
    )


SPEC = DatasetSpec(
    name="image-folder",
    summary="images in one folder per class, optionally within folders train, val and test",
    create="derm_bench_plugins.datasets.image_folder:ImageFolder",
    options=ImageFolderOptions,
    recognise="derm_bench_plugins.datasets.recognising:image_folder",
)
