"""Options and spec of `bilateral`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options, TransformSpec


class BilateralOptions(Options):
    d: int = Field(9, ge=1, le=51, description="diameter of the neighbourhood of a pixel, in pixels")
    sigma_color: float = Field(
        75.0,
        gt=0,
        le=1000,
        description="standard deviation of the weight by colour difference, in levels of 0 to 255",
    )
    sigma_space: float = Field(
        75.0, gt=0, le=1000, description="standard deviation of the weight by distance, in pixels"
    )
    before_resize: bool = Field(
        True,
        description="true, as in paper 004: filter the image at its own size, before it is resized to the stored size, "
        "as every transform listed before is; false: filter the image of the stored size, where d and sigma_space span "
        "a larger part of a lesion",
    )


SPEC = TransformSpec(
    name="bilateral",
    summary="smooth images but keep edges",
    paper="Tomasi and Manduchi 1998, Bilateral filtering, ICCV; paper 004, preprocessing",
    create="derm_bench_plugins.transforms.bilateral:Bilateral",
    options=BilateralOptions,
    phase="preprocess",
)
