"""Options and spec of `ricap`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options, TransformSpec


class RicapOptions(Options):
    beta: float = Field(
        0.3,
        gt=0,
        le=100,
        description="share of each side at which the boundary is ~ Beta(beta, beta); small: mostly one image shows",
    )


SPEC = TransformSpec(
    name="ricap",
    summary="four random crops in one image, labels by area",
    paper="Takahashi et al. 2018, RICAP, ACML",
    create="derm_bench_plugins.transforms.ricap:Ricap",
    options=RicapOptions,
    phase="batch",
    scalar="beta",
)
