"""Control generators: what a quota of images does that no network made.

They train nothing, so a budget is without effect, and they may not be shown val or test.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.adapters import AdapterOptions

_MODULE = "derm_bench_plugins.generators.controls"


class ControlOptions(AdapterOptions):
    """One fit for all classes, since there is nothing to train."""

    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        None, description="default pooled: one stage for all classes"
    )

    @model_validator(mode="after")
    def _sees_no_test_image(self) -> ControlOptions:
        if self.fit_on != "train":
            raise ValueError("fit_on: a control is made of training images alone; leave it out")
        return self


class BlurOptions(ControlOptions):
    """How much is lost."""

    sigma: float = Field(
        2.0, gt=0, le=100, description="standard deviation of the Gaussian, in pixels of its images"
    )


class BottleneckOptions(ControlOptions):
    """The resolution is the point of it, so it has no default."""

    size: int = Field(
        ge=8,
        le=1024,
        description="side in pixels through which the images go: that of the generator compared with",
    )


class ShuffledLabelOptions(ControlOptions):
    """Labels are shuffled over all classes, or they would not be."""

    @model_validator(mode="after")
    def _draws_from_all_classes(self) -> ShuffledLabelOptions:
        if self.classes is not None:
            raise ValueError(
                "classes: it draws from all of them; say who gets images with synthetic.per_class"
            )
        if self.scope not in (None, "pooled"):
            raise ValueError("scope: it draws from all classes at once, which is pooled; leave it out")
        return self


def without_end(options: Any) -> float:
    """They have an order and begin anew at its end: images never run out."""
    return math.inf


def each_once(options: Any) -> str:
    """As many as the fit reads: the planner counts them in the split."""
    return "reads"


def specs() -> list[GeneratorSpec]:
    repeated: dict[str, Any] = {
        "conditional": True,
        "conditions_on": "images",
        "finite": f"{__name__}:without_end",
    }
    plain: dict[str, Any] = {"presets": {"tiny": {}, "smoke": {}}}
    return [
        GeneratorSpec(
            name="duplicate",
            summary="control: real training images drawn again",
            create=f"{_MODULE}:Duplicate",
            options=ControlOptions,
            **repeated,
            **plain,
        ),
        GeneratorSpec(
            name="blur",
            summary="control: real training images drawn again, blurred",
            create=f"{_MODULE}:Blur",
            options=BlurOptions,
            **repeated,
            **plain,
        ),
        GeneratorSpec(
            name="bottleneck",
            summary="control: real training images drawn again, through a generator's resolution and back",
            create=f"{_MODULE}:Bottleneck",
            options=BottleneckOptions,
            presets={"tiny": {"size": 16}, "smoke": {"size": 16}},
            **repeated,
        ),
        GeneratorSpec(
            name="shuffled-label",
            summary="control: real training images drawn again, labels drawn from the training prior",
            create=f"{_MODULE}:ShuffledLabel",
            options=ShuffledLabelOptions,
            **repeated,
            **plain,
        ),
        GeneratorSpec(
            name="more-real",
            summary="control: real images that were kept out of training, those of the reserve",
            create=f"{_MODULE}:MoreReal",
            options=ControlOptions,
            conditional=True,
            conditions_on="images",
            reads="reserve",
            finite=f"{__name__}:each_once",
            **plain,
        ),
        GeneratorSpec(
            name="noise",
            summary="control: pixels drawn uniformly",
            create=f"{_MODULE}:Noise",
            options=ControlOptions,
            conditional=True,
            **plain,
        ),
    ]
