"""Options and spec of `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from derm_bench.specs import Options, TransformSpec


class RestoreOptions(Options):
    factor: int = Field(2, ge=1, le=4, description="how many times larger both sides become")
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
        None, ge=1, description="only images whose shorter side has fewer pixels; default all"
    )
    weights: Path | None = Field(
        None, description="a safetensors or weights-only file of a trained network, used in place of Lanczos"
    )
    network: Literal["espcn", "srresnet"] = Field(
        "espcn",
        description="the network of the weights; the module super_resolution lists its layers and keys",
    )

    @model_validator(mode="after")
    def _made_by_doubling(self) -> RestoreOptions:
        if self.weights is not None and self.network == "srresnet" and self.factor not in (2, 4):
            raise ValueError("srresnet doubles once or twice: factor is 2 or 4")
        return self


SPEC = TransformSpec(
    name="restore",
    summary="upscale and sharpen, or a trained super-resolution network",
    paper="the place of DFDNet (Li et al. 2020, ECCV) in paper 001's pipeline",
    create="derm_bench_plugins.transforms.restore:Restore",
    options=RestoreOptions,
    phase="preprocess",
    scalar="factor",
)
