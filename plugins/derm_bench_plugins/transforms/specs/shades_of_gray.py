"""Options and spec of `shades-of-gray`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options, TransformSpec


class ShadesOfGrayOptions(Options):
    p: float = Field(
        6.0,
        ge=1,
        le=100,
        description="Minkowski norm: 1 is the grey world; large values, the brightest pixel",
    )


SPEC = TransformSpec(
    name="shades-of-gray",
    summary="remove the colour of the light",
    paper="Finlayson and Trezzi 2004, Shades of gray and colour constancy, CIC",
    create="derm_bench_plugins.transforms.shades_of_gray:ShadesOfGray",
    options=ShadesOfGrayOptions,
    phase="preprocess",
    scalar="p",
)
