"""Options that every generator takes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from derm_bench.options.base import Budget, Options
from derm_bench.options.uses import TransformUse


class GeneratorOptions(Options):
    """Options that every generator takes; a plugin's own model may give one of them another default."""

    budget: Budget = Field(Budget(epochs=300), description="how long to fit; smaller of it and nothing else")
    size: int | None = Field(None, ge=8, le=1024, description="side in pixels; default the stored size")
    augment: tuple[TransformUse, ...] = Field(
        (), description="image transforms applied to the real images while fitting"
    )
    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        None,
        description="per_class, pooled, or groups of classes; default per_class for unconditional generators",
    )
    classes: tuple[str, ...] | None = Field(
        None, description="the classes to fit on; default all (per_class: those with a quota)"
    )
    fit_on: Literal["train", "all"] = Field(
        "train", description="all also shows it val and test: needs the permit generator_sees_test"
    )
    extra_data: Any = Field(None, description="unlabelled images to fit on as well")
