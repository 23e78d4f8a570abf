"""csv-lesions, a data set for derm-bench: its name and options. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from derm_bench.api import DatasetSpec, Options, hookimpl

DERM_BENCH_API = 1


class Columns(Options):
    """The names of the table's columns. (They are a map, because `label` is a key of every data set entry.)"""

    image: str = Field("image", description="file names")
    label: str = Field("label", description="classes")
    group: str | None = Field("lesion", description="lesions or patients; null if no grouping is known")
    attributes: tuple[str, ...] = Field((), description="attributes for reports: age, sex, site, ...")


class CsvLesionsOptions(Options):
    """A table beside a folder of images, the layout of most archives."""

    root: Path = Field(description="folder that contains the table and the folders of images and masks")
    table: str = Field("labels.csv", description="a CSV file with a header, in root")
    images: str = Field("images", description="the folder of images, in root")
    masks: str | None = Field(
        None,
        description="the folder of segmentations, in root; each mask is a PNG with the name of its image",
    )
    columns: Columns = Field(
        Columns(), description="names of the table's columns: image, label, group, attributes"
    )
    licence: str = Field("", description="licence of the images, as shown in reports")


@hookimpl
def derm_bench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="csv-lesions",
            summary="a table of labels, lesions and attributes beside a folder of images",
            create="derm_bench_csv_lesions.reader:CsvLesions",
            options=CsvLesionsOptions,
        )
    ]
