"""Options and spec of `advchain`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from derm_bench.specs import Options, TransformSpec

Link = Literal["noise", "bias", "morph", "affine"]
LINKS: tuple[Link, ...] = ("noise", "bias", "morph", "affine")


class AdvChainOptions(Options):
    """The defaults are the settings of the paper. The module `advchain` lists the exceptions."""

    weight: float = Field(1.0, gt=0, le=1000, description="weight of the consistency loss")
    chain: tuple[Link, ...] = Field(LINKS, min_length=1, description="the links, applied in random order")
    step: float = Field(
        1.0,
        ge=0,
        le=100,
        description="size of the adversarial step of bias, morph and affine; with 0, they are random",
    )
    noise: float = Field(
        1.0, ge=0, le=1000, description="Euclidean norm of an image's noise, for pixels in 0 to 1"
    )
    xi: float = Field(
        1e-6,
        gt=0,
        le=1,
        description="norm of the random noise at which the gradient is taken (power iteration)",
    )
    bias: float = Field(0.3, ge=0, lt=1, description="largest relative change of illumination")
    morph: float = Field(
        1.5, ge=0, le=16, description="longest displacement, in 64ths of the side (pixels of a 64 px image)"
    )
    rotation: float = Field(30.0, ge=0, le=180, description="largest rotation in degrees")
    scale: float = Field(0.2, ge=0, lt=1, description="largest relative change of size of each axis")
    shift: float = Field(
        0.1, ge=0, le=1, description="largest shift of each axis, as a fraction of half the side"
    )

    @field_validator("chain")
    @classmethod
    def _once_each(cls, value: tuple[Link, ...]) -> tuple[Link, ...]:
        if len(set(value)) < len(value):
            raise ValueError("each link may be given only once")
        return value


SPEC = TransformSpec(
    name="advchain",
    summary="consistency under an adversarial chain of noise, illumination, warping and affine maps",
    paper="Chen et al. 2022, AdvChain, Medical Image Analysis",
    create="derm_bench_plugins.transforms.advchain:AdvChain",
    options=AdvChainOptions,
    phase="regulariser",
    scalar="weight",
)
