"""Options and spec of `dcgan`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import QUICK, SMALL, TwoPlayerOptions


class DcganOptions(TwoPlayerOptions):
    """Settings that paper 002 leaves open follow Radford et al. 2016. `base: 128` gives their widths."""

    prior: Literal["uniform", "normal"] = Field("uniform", description="z ~ U(-1,1) or N(0,1)")
    base: int = Field(
        128,
        ge=2,
        le=1024,
        description="channels of G's last hidden layer and of D's first layer",
    )
    kernel: Literal[4, 5] = Field(
        4, description="side of the kernels: 4, which is divisible by the stride 2, or 5 as in Radford et al."
    )
    ema: float = Field(
        0.99,
        ge=0,
        lt=1,
        description="decay of a moving average of G's weights, from which samples are drawn; 0: the weights "
        "themselves, as in the papers. The average was better in the mean of five seeds (benchmarks/quality)",
    )
    head: Literal["flatten", "gap"] = Field(
        "flatten", description="how D reduces its last 4x4 map to a logit"
    )


SPEC = GeneratorSpec(
    name="dcgan",
    summary="DCGAN: strided transposed convolutions, BCE, one network per class",
    paper="Radford et al. 2016, as used for melanoma at 64 px in paper 002",
    create="derm_bench_plugins.generators.dcgan:Dcgan",
    options=DcganOptions,
    discriminator_outputs=("d_real", "d_fake"),
    cost="derm_bench_plugins.generators.gan_cost:adversarial",
    parts=("generator", "discriminator"),
    realness=True,
    bf16=True,
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    presets={**SMALL, "quick": QUICK},
)
