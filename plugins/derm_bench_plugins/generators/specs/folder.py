"""Options and spec of `folder`, existing synthetic images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from derm_bench.specs import GeneratorOptions, GeneratorSpec, StatedFolder, TrainedOn


class FolderOptions(TrainedOn, GeneratorOptions):
    """The folder of the images, and the data on which the model that made them was trained."""

    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        "per_class", description="per_class: one stage per class with a quota"
    )
    root: Annotated[Path, StatedFolder()] = Field(
        description="folder that contains one folder of images per class, named after the class"
    )
    trained_on: str = Field(
        min_length=1,
        max_length=500,
        description="your statement of the data on which the model that made these images was trained: train (the "
        "training part of `split`); a description of other data; or all, test or val, which need the permit "
        "generator_sees_test",
    )

    @model_validator(mode="after")
    def _reads_no_images(self) -> FolderOptions:
        if self.fit_on != "train":
            raise ValueError("fit_on has no effect on existing images; write trained_on: all instead")
        return self


SPEC = GeneratorSpec(
    name="folder",
    summary="existing synthetic images, in one folder per class",
    create="derm_bench_plugins.generators.folder:Folder",
    options=FolderOptions,
    parts=(),
    conditional=True,
    trains=False,
    presets={"tiny": {}, "smoke": {}},
    preflight="derm_bench_plugins.generators.folder_planning:preflight",
    depends_on="derm_bench_plugins.generators.folder_planning:digests",
    provenance="derm_bench_plugins.generators.folder_planning:provenance",
    finite="derm_bench_plugins.generators.folder_planning:counts",
)
