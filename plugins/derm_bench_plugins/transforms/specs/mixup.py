"""Options and spec of `mixup`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options, TransformSpec


class MixupOptions(Options):
    alpha: float = Field(
        0.2,
        gt=0,
        le=100,
        description="weight of the first image ~ Beta(alpha, alpha); with small values, one of the two dominates",
    )
    p: float = Field(1.0, ge=0, le=1, description="probability that a batch is mixed")


SPEC = TransformSpec(
    name="mixup",
    summary="weighted means of two images and of their labels",
    paper="Zhang et al. 2018, mixup, ICLR",
    create="derm_bench_plugins.transforms.mixup:Mixup",
    options=MixupOptions,
    phase="batch",
    scalar="alpha",
)
