"""Options and spec of `graded`, samples that are sorted into classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from derm_bench.specs import ClassifierUse, GeneratorSpec, Ref, StatedFolder
from derm_bench_plugins.generators.specs.control_options import ControlOptions


class SortingOptions(ControlOptions):
    """How samples are sorted."""

    grader: ClassifierUse | None = Field(
        None, description="the classifier, trained on the real training images; default dermagan-cnn"
    )
    sorted: Annotated[Path | None, StatedFolder()] = Field(
        None,
        description="sort by hand: the first run writes the samples into this folder, which must be new, and waits "
        "until they are sorted into its folders of the classes",
    )
    draws: int = Field(2000, ge=1, le=1_000_000, description="samples to sort")
    confidence: float = Field(
        0.8, ge=0, le=1, description="least probability of the class of a sample that is kept"
    )
    min_per_class: int = Field(
        50,
        ge=1,
        description="least number of samples of a class; the most confident of the others fill up to it",
    )
    least: float = Field(0.3, ge=0, le=1, description="least probability of the samples that fill up")
    keep: int = Field(1500, ge=1, description="largest number of samples that are kept of a class")

    @model_validator(mode="after")
    def _sorted_once(self) -> SortingOptions:
        if self.sorted is not None and self.grader is not None:
            raise ValueError(
                "samples are sorted either by `grader` or by hand (`sorted`): leave one of them out"
            )
        if self.keep < self.min_per_class:
            raise ValueError(f"keep ({self.keep}) must be at least min_per_class ({self.min_per_class})")
        return self


class GradedOptions(SortingOptions):
    """The generator whose samples are sorted, and how."""

    source: dict[str, Any] = Field(
        description="the generator: its name and options, as in a strategy's `generator`; it is fitted to all classes "
        "at once"
    )

    @model_validator(mode="after")
    def _has_a_name(self) -> GradedOptions:
        if not isinstance(self.source.get("name"), str):
            raise ValueError(
                "source needs the name of a generator, such as source: {name: stylegan2-unlabelled}"
            )
        return self


def requires(options: GradedOptions) -> Mapping[str, Ref]:
    """Return the generator and, unless a person sorts, the classifier."""
    given = {name: value for name, value in options.source.items() if name != "name"}
    found = {"source": Ref("generator", options.source["name"], given, needed="fit")}
    if options.sorted is None:
        grader = options.grader or ClassifierUse(name="dermagan-cnn", options={})
        found["grader"] = Ref("classifier", grader.name, grader, needed="fit")
    return found


def without_end(options: Any) -> float:
    """Return infinity: the images that are kept are drawn again after all were drawn."""
    return math.inf


_SMALL: dict[str, Any] = {
    "source": {"name": "stylegan2-unlabelled", "preset": "tiny"},
    "grader": {"name": "dermagan-cnn", "preset": "tiny"},
    "draws": 64, "confidence": 0.5, "least": 0.0, "min_per_class": 4, "keep": 16,
}  # fmt: skip

SPEC = GeneratorSpec(
    name="graded",
    summary="samples of a generator without classes, sorted by a classifier or by hand",
    paper="paper 001, stage 3",
    create="derm_bench_plugins.generators.graded:Graded",
    options=GradedOptions,
    requires=requires,
    parts=(),
    screen=True,
    conditional=True,
    trains=False,
    presets={"tiny": _SMALL, "smoke": _SMALL},
    preflight="derm_bench_plugins.generators.sorted_names:preflight",
    depends_on="derm_bench_plugins.generators.sorted_names:digest",
    finite="derm_bench_plugins.generators.specs.graded:without_end",
)
