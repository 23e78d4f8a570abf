"""Options and spec of `union`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from derm_bench.specs import DatasetSpec, DatasetUse, Options


class UnionOptions(Options):
    """Several data sets as one."""

    of: tuple[DatasetUse, ...] = Field(
        min_length=1,
        max_length=100,
        description="the data sets, each as under `datasets` with the options of its plugin; `label` is its name here",
    )
    label_map: Path | dict[str, str | dict[str, str | None] | None] | None = Field(
        None,
        description="YAML file, or map, with the class of each label of the data sets, null to leave its images out; "
        "or such a map below the label of each data set. Default: a label is a class",
    )
    dedup: tuple[Literal["id", "pixels"], ...] = Field(
        ("pixels",),
        description="which images are kept once: id, those with one id in several data sets, of the first of them; "
        "pixels, those with equal pixels, that in test, else in val, else the first",
    )

    @model_validator(mode="after")
    def _labels(self) -> UnionOptions:
        labels = [use.label for use in self.of]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"two data sets are both labelled '{label}': write `label:` in one of them")
            if "/" in label:
                raise ValueError(f"'{label}' cannot be a label, since ids begin with it and a slash")
        return self


SPEC = DatasetSpec(
    name="union",
    summary="several data sets joined, with classes by a label map and copies left out",
    create="derm_bench_plugins.datasets.union:Union",
    options=UnionOptions,
    parts=lambda options: options.of,
)
