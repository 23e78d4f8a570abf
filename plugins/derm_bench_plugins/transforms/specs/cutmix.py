"""Options and spec of `cutmix`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options, TransformSpec


class CutmixOptions(Options):
    alpha: float = Field(1.0, gt=0, le=100, description="share of the first image ~ Beta(alpha, alpha)")
    p: float = Field(1.0, ge=0, le=1, description="probability that a batch is mixed")


SPEC = TransformSpec(
    name="cutmix",
    summary="paste a rectangle of another image, mix labels by area",
    paper="Yun et al. 2019, CutMix, ICCV",
    create="derm_bench_plugins.transforms.cutmix:Cutmix",
    options=CutmixOptions,
    phase="batch",
    scalar="alpha",
)
