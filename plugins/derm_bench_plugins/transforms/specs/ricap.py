"""Options and spec of `ricap`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options, TransformSpec


class RicapOptions(Options):
    beta: float = Field(
        0.3,
        gt=0,
        le=100,
        description="position of the boundary, as a fraction of each side, ~ Beta(beta, beta); with small values, one "
        "image covers most of the area",
    )
    p: float = Field(1.0, ge=0, le=1, description="probability that a batch is mixed")


SPEC = TransformSpec(
    name="ricap",
    summary="join four random crops into one image, mix labels by area",
    paper="Takahashi et al. 2018, RICAP, ACML",
    create="derm_bench_plugins.transforms.ricap:Ricap",
    options=RicapOptions,
    phase="batch",
    scalar="beta",
)
