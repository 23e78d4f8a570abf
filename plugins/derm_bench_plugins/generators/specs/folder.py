"""Options and spec of `folder`, existing synthetic images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from derm_bench.specs import GeneratorOptions, GeneratorSpec, StatedFolder

_PARTS = frozenset({"train", "training", "val", "validation", "test", "all"})
_FILLING = frozenset({"and", "the", "of", "on", "set", "split", "data", "images", "part"})


class FolderOptions(GeneratorOptions):
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
    split: str | None = Field(
        None,
        pattern="^[0-9a-f]{8,64}$",
        description="with trained_on: train, the digest of that split, or at least its first 8 digits; "
        "`derm-bench plan MATRIX --json` prints it under `splits`",
    )

    @property
    def parts(self) -> frozenset[str]:
        """The parts of the benchmark's data set that `trained_on` names; empty if it describes other data."""
        words = set(re.findall(r"[a-z]+", self.trained_on.lower()))
        return frozenset(words & _PARTS) if words <= _PARTS | _FILLING else frozenset()

    @model_validator(mode="after")
    def _is_complete(self) -> FolderOptions:
        only_train = bool(self.parts) and self.parts <= {"train", "training"}
        if only_train and self.split is None:
            raise ValueError(
                "trained_on: train needs `split`, the digest of the split whose training part was used "
                "(`derm-bench plan MATRIX --json` prints it under `splits`)"
            )
        if self.split is not None and not only_train:
            raise ValueError("split may be set only with trained_on: train")
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
