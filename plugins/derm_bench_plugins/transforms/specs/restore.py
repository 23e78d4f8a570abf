"""Options and spec of `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from derm_bench.specs import Options, TransformSpec


class RestoreOptions(Options):
    factor: int = Field(2, ge=1, le=4, description="factor by which both sides are enlarged")
    sharpen: float = Field(
        0.5, ge=0, le=5, description="strength of the unsharp mask; not used with a network"
    )
    radius: float = Field(
        1.0,
        gt=0,
        le=50,
        description="standard deviation of the unsharp mask's blur, in pixels before upscaling",
    )
    below: int | None = Field(
        None,
        ge=1,
        description="apply only to images whose shorter side has fewer pixels; default: all images",
    )
    weights: Path | None = Field(
        None, description="a safetensors or weights-only file of a trained network, used instead of Lanczos"
    )
    network: Literal["espcn", "srresnet"] = Field(
        "espcn",
        description="the network of the weights; the module super_resolution lists its layers and keys",
    )

    @model_validator(mode="after")
    def _made_by_doubling(self) -> RestoreOptions:
        if self.weights is not None and self.network == "srresnet" and self.factor not in (2, 4):
            raise ValueError("srresnet doubles the side once or twice; factor must be 2 or 4")
        return self


SPEC = TransformSpec(
    name="restore",
    summary="upscale and sharpen, or apply a trained super-resolution network",
    paper="replaces DFDNet (Li et al. 2020, ECCV) in the pipeline of paper 001",
    create="derm_bench_plugins.transforms.restore:Restore",
    options=RestoreOptions,
    phase="preprocess",
    scalar="factor",
)
