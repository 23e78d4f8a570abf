"""Options shared by the control generators, and the number of images that they can draw."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from derm_bench.specs import GeneratorOptions


class ControlOptions(GeneratorOptions):
    """Options of a control: one fit for all classes, on training images only."""

    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        None, description="default: pooled, one stage for all classes"
    )

    @model_validator(mode="after")
    def _sees_no_test_image(self) -> ControlOptions:
        if self.fit_on != "train":
            raise ValueError("fit_on: a control uses training images only; leave this option out")
        return self


def without_end(options: Any) -> float:
    """Return infinity: images do not run out, because they are drawn again after all have been drawn."""
    return math.inf
