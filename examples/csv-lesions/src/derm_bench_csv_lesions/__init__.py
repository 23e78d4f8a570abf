"""csv-lesions, a data set for derm-bench: its name and options. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from derm_bench import hookimpl
from derm_bench.specs import DatasetSpec, Options

DERM_BENCH_API = 1


class Columns(Options):
    """What the table's columns are called. (An option named `label` would be the entry's own, in a matrix.)"""

    image: str = Field("image", description="file names")
    label: str = Field("label", description="classes")
    group: str | None = Field("lesion", description="lesions or patients; null: no grouping is known")
    attributes: tuple[str, ...] = Field((), description="what to report by: age, sex, site, ...")


class CsvLesionsOptions(Options):
    """A table beside a folder of images, as most archives come."""

    root: Path = Field(description="holds the table, the folder of images and that of masks")
    table: str = Field("labels.csv", description="a CSV file with a header, in root")
    images: str = Field("images", description="the folder of images, in root")
    masks: str | None = Field(
        None, description="the folder of segmentations, in root; a PNG named as its image is"
    )
    columns: Columns = Field(
        Columns(), description="names of the table's columns: image, label, group, attributes"
    )
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
