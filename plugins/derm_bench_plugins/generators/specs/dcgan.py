"""DCGAN and its kin of papers 002, 003 and 004."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import GanOptions


class DcganOptions(GanOptions):
    """What the paper leaves open follows Radford et al. 2016; `base` 128 gives their widths."""

    prior: Literal["uniform", "normal"] = Field("uniform", description="z ~ U(-1,1) or N(0,1)")
    base: int = Field(
        128, ge=2, le=1024, multiple_of=2, description="channels of G's last hidden layer; D starts at half"
    )
    head: Literal["flatten", "gap"] = Field(
        "flatten", description="how D reduces its last 4x4 map to a logit"
    )


def specs() -> list[GeneratorSpec]:
    return [
        GeneratorSpec(
            name="dcgan",
            summary="DCGAN: strided transposed convolutions, BCE, one network a class",
            paper="Radford et al. 2016, as used for melanoma at 64 px in paper 002",
            create="derm_bench_plugins.generators.dcgan:Dcgan",
            options=DcganOptions,
            presets={
                "tiny": {"base": 8, "z_dim": 8, "batch_size": 8, "budget": {"updates": 4}},
                "smoke": {"base": 16, "batch_size": 16, "budget": {"updates": 20}},
            },
        )
    ]
