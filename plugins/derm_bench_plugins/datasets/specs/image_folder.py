"""Options and spec of `image-folder`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from derm_bench.specs import DatasetSpec, Options
from derm_bench_plugins.datasets.specs.shared import AllowsMissing


class GroupTable(Options):
    """A table of groups, and the names of its columns."""

    file: Path = Field(description="table (CSV, TSV, XLSX, Parquet)")
    image: str = Field("image", description="column with the image: its path below root, or its file name")
    group: str = Field(
        "group", description="column with the lesion or patient; missing means a group of its own"
    )


class ImageFolderOptions(AllowsMissing):
    """Options of a folder that contains one folder per class."""

    root: Path = Field(description="folder with class/*, or with folders train|val|test that contain class/*")
    groups: Path | GroupTable | None = Field(
        None,
        description="table with columns image,group (lesion or patient), or {file, image: COLUMN, group: COLUMN}; "
        "default: root/groups.csv",
    )
    splits: dict[str, Literal["train", "val", "test"]] | None = Field(
        None,
        description="which folder is which split, as {training: train, truth: test}; {} if none is one; default: by "
        "their names",
    )


SPEC = DatasetSpec(
    name="image-folder",
    summary="images in one folder per class, optionally within folders train, val and test",
    create="derm_bench_plugins.datasets.image_folder:ImageFolder",
    options=ImageFolderOptions,
    recognise="derm_bench_plugins.datasets.recognising:image_folder",
)
