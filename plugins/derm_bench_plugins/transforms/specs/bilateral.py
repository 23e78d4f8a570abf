"""Options and spec of `bilateral`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options, TransformSpec


class BilateralOptions(Options):
    d: int = Field(9, ge=1, le=51, description="diameter in pixels of the neighbourhood of a pixel")
    sigma_color: float = Field(
        75.0, gt=0, le=1000, description="how far colours may lie apart to be averaged, in levels of 0 to 255"
    )
    sigma_space: float = Field(75.0, gt=0, le=1000, description="how far pixels may lie apart, in pixels")


SPEC = TransformSpec(
    name="bilateral",
    summary="smooth within edges",
    paper="Tomasi and Manduchi 1998, Bilateral filtering, ICCV; paper 004, preprocessing",
    create="derm_bench_plugins.transforms.bilateral:Bilateral",
    options=BilateralOptions,
    phase="preprocess",
)
