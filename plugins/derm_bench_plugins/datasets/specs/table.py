"""Options and spec of `table`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from derm_bench.specs import DatasetSpec, Options
from derm_bench_plugins.datasets.specs.shared import AllowsMissing


class TableColumns(Options):
    """The columns of a table, as its header names them; case, spaces, hyphens and underscores do not matter."""

    image: str = Field(
        description="column with the image: file name with or without suffix, or path below the root"
    )
    label: str | tuple[str, ...] = Field(
        description="column with the label, or the columns of a one-hot label, each named after its class"
    )
    group: str | None = Field(
        None, description="column with the lesion or patient; missing means a group of its own"
    )
    split: str | None = Field(
        None, description="column with the split: train, val or test, or words like training and valid"
    )
    mask: str | None = Field(None, description="column with the mask of the image, as a file below the root")


class TableOptions(AllowsMissing):
    """Options of a table beside images."""

    file: Path = Field(description="table (CSV, TSV or other text with separators, XLSX, Parquet)")
    root: Path | None = Field(
        None, description="folder of the images, at any depth; default: the folder of the table"
    )
    columns: TableColumns = Field(
        description="the columns, as {image: image_id, label: dx, group: lesion_id}"
    )
    attributes: dict[str, str] = Field(
        {},
        description="columns of attributes by name, as {age: age_approx, sex: sex, site: COLUMN, tone: COLUMN}",
    )
    otherwise: str | None = Field(
        None, description="label of the rows in which all columns of a one-hot label are 0; default: refused"
    )
    grades: tuple[str, ...] | None = Field(
        None, description="all labels from the lowest to the highest grade, if they are ordered"
    )
    licence: str = Field("", max_length=500, description="licence of the data set, as the report states it")
    citation: str = Field(
        "", max_length=2_000, description="citation of the data set, as the report states it"
    )

    @model_validator(mode="after")
    def _labels(self) -> TableOptions:
        label = self.columns.label
        if isinstance(label, tuple) and len(set(label)) + (self.otherwise is not None) < 2:
            raise ValueError("`columns.label` is one column, or a list of two or more different columns")
        if self.otherwise is not None and not isinstance(label, tuple):
            raise ValueError(
                "`otherwise` is for one-hot labels: give `columns.label` a list, or leave it out"
            )
        if self.grades is not None and (len(set(self.grades)) != len(self.grades) or len(self.grades) < 2):
            raise ValueError("`grades` are two or more different labels")
        return self


SPEC = DatasetSpec(
    name="table",
    summary="images listed in any table (CSV, TSV, XLSX, Parquet), with the columns that you name",
    create="derm_bench_plugins.datasets.table:ImageTable",
    options=TableOptions,
    recognise="derm_bench_plugins.datasets.recognising:image_table",
)
