"""Options and spec of `hair-removal`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options, TransformSpec


class HairRemovalOptions(Options):
    """Lengths are fractions of the shorter side, so that they fit images of any resolution."""

    width: float = Field(0.03, gt=0, le=0.2, description="hairs are thinner than this fraction of the side")
    length: float = Field(
        0.2, gt=0, le=1, description="hairs are straight over at least this fraction of the side"
    )
    threshold: int = Field(
        8,
        ge=1,
        le=255,
        description="hairs are darker than the adjacent skin by this many of 255 levels, in each channel",
    )


SPEC = TransformSpec(
    name="hair-removal",
    summary="find dark hairs by their shape and inpaint them",
    paper="Lee et al. 1997, DullRazor, Computers in Biology and Medicine",
    create="derm_bench_plugins.transforms.hair_removal:HairRemoval",
    options=HairRemovalOptions,
    phase="preprocess",
    scalar="threshold",
)
