"""Options and spec of `image-folder`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from derm_bench.specs import DatasetSpec, Options


class ImageFolderOptions(Options):
    """A folder of class folders."""

    root: Path = Field(description="holds class/*, or train|val|test folders that hold class/*")
    groups: Path | None = Field(
        None,
        description="CSV of image,group for every image (lesion or patient); default root/groups.csv",
    )


SPEC = DatasetSpec(
    name="image-folder",
    summary="class folders of images, with or without train, val and test above them",
    create="derm_bench_plugins.datasets.image_folder:ImageFolder",
    options=ImageFolderOptions,
)
