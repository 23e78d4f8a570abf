"""Options that the control generators share, and how many images they have."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from derm_bench.specs import GeneratorOptions


class ControlOptions(GeneratorOptions):
    """One fit for all classes, on training images alone."""

    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        None, description="default pooled: one stage for all classes"
    )

    @model_validator(mode="after")
    def _sees_no_test_image(self) -> ControlOptions:
        if self.fit_on != "train":
            raise ValueError("fit_on: a control is made of training images alone; leave it out")
        return self


def without_end(options: Any) -> float:
    """Images never run out: they have a fixed order, which begins anew at its end."""
    return math.inf
