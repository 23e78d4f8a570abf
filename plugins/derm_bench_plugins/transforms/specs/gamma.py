"""Options and spec of `gamma`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options, TransformSpec


class GammaOptions(Options):
    gamma: float = Field(
        1.5, gt=0, le=10, description="pixels in 0 to 1 are raised to the power 1 / gamma; above 1 brightens"
    )
    before_resize: bool | None = Field(
        None,
        description="whether to correct the image at its own size, before it is resized to the stored size; default: "
        "as a `bilateral` listed next to it (paper 004: before), else after the resize",
    )


SPEC = TransformSpec(
    name="gamma",
    summary="brighten or darken by a power law",
    paper="paper 004, preprocessing",
    create="derm_bench_plugins.transforms.gamma:Gamma",
    options=GammaOptions,
    phase="preprocess",
    scalar="gamma",
)
