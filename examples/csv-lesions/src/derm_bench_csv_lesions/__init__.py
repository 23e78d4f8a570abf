"""csv-lesions, a data set for derm-bench: its name and options. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from derm_bench import hookimpl
from derm_bench.specs import DatasetSpec, Options

DERM_BENCH_API = 1


class CsvLesionsOptions(Options):
    """A table beside a folder of images, as most archives come. Column names are the table's own."""

    root: Path = Field(description="holds the table, the folder of images and that of masks")
    table: str = Field("labels.csv", description="a CSV file with a header, in root")
    images: str = Field("images", description="the folder of images, in root")
    masks: str | None = Field(
        None, description="the folder of segmentations, in root; a PNG named as its image is"
    )
    image: str = Field("image", description="the column of file names")
    label: str = Field("label", description="the column of classes")
    group: str | None = Field(
        "lesion", description="the column of lesions or patients; null: no grouping is known"
    )
    attributes: tuple[str, ...] = Field((), description="columns to report by: age, sex, site, ...")
    licence: str = Field("", description="of the images, as reports show it")


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
