"""Options and spec of `lesion-paste`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import GeneratorOptions, GeneratorSpec


class LesionPasteOptions(GeneratorOptions):
    """The transformation of a lesion, the choice of its background, and how both are blended."""

    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        None, description="default: pooled, with backgrounds from images of all classes"
    )
    blend: Literal["poisson", "feather"] = Field(
        "feather",
        description="feather keeps the lesion's colours; poisson keeps its gradients and shifts its colours by the "
        "difference of the two skins",
    )
    rotate: float = Field(180.0, ge=0, le=180, description="largest rotation of the lesion, in degrees")
    scale: float = Field(0.2, ge=0, lt=1, description="largest relative change of the lesion's size")
    move: float = Field(
        0.1,
        ge=0,
        le=1,
        description="largest distance from the position of the background's lesion, as a fraction of the side",
    )
    jitter: float = Field(
        0.02,
        ge=0,
        le=0.2,
        description="standard deviation of the displacement of the lesion's outline, as a fraction of the side",
    )
    largest_background: float = Field(
        0.4,
        gt=0,
        le=1,
        description="an image may serve as a background if its lesion covers at most this fraction of it",
    )


SPEC = GeneratorSpec(
    name="lesion-paste",
    summary="lesions cut out along their contour and blended into other skin (ZSAL, XtremeAugment's OBA)",
    paper="object-based augmentation of Nesteruk et al. 2022; ZSAL as described in paper 000",
    create="derm_bench_plugins.generators.lesion_paste:LesionPaste",
    options=LesionPasteOptions,
    parts=("order",),
    conditional=True,
    conditions_on="masks",
    trains=False,
    presets={"tiny": {}, "smoke": {}},
)
