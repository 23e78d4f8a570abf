"""Options that every generator takes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.options.base import Budget, Options
from derm_bench.options.uses import TransformUse


class GeneratorOptions(Options):
    """Options that every generator takes. The model of a plugin may give them other defaults."""

    budget: Budget = Field(default=Budget(epochs=300), description="how long to fit")
    size: int | None = Field(
        default=None, ge=8, le=1024, description="side of the images in pixels; default the stored size"
    )
    augment: tuple[TransformUse, ...] = Field(
        default=(), description="image transforms applied to the real images while fitting"
    )
    balance: bool = Field(
        default=False,
        description="draw all classes equally often while fitting, so that a generator of several classes sees a rare "
        "one as often as any other; the number of updates does not change",
    )
    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        default=None,
        description="one fit per class (per_class), for all classes (pooled) or per listed group of classes; default "
        "per_class for unconditional generators, else pooled",
    )
    classes: tuple[str, ...] | None = Field(
        default=None,
        description="classes to fit on; default all classes (with per_class, those with a quota)",
    )
    fit_on: Literal["train", "all"] = Field(
        default="train",
        description="all: fit on val and test images too, which needs the permit generator_sees_test",
    )
