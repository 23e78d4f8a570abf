"""Options and spec of `dcgan-mutepfe`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import QUICK, SMALL, TwoPlayerOptions


class MutepfeOptions(TwoPlayerOptions):
    """The defaults are the settings of the paper."""

    z_dim: int = Field(128, ge=1, le=4096, description="length of the noise vector z")
    batch_size: int = Field(128, ge=2, le=65536, description="real images per update of D")
    base: int = Field(
        64,
        ge=1,
        le=1024,
        description="channels of G's last hidden layer and of D's first layer; the paper has 64",
    )
    optimizer: Literal["adam", "sgd"] = Field(
        "adam",
        description="the optimizer of G and D, compared in table 4 of the paper; sgd: its momentum is the first of "
        "`betas`",
    )


SPEC = GeneratorSpec(
    name="dcgan-mutepfe",
    summary="DCGAN with 5x5 kernels, whose discriminator is later fine-tuned as a classifier",
    paper="Mutepfe et al., paper 004: benign and malignant lesions at 64 px",
    create="derm_bench_plugins.generators.dcgan_mutepfe:DcganMutepfe",
    options=MutepfeOptions,
    discriminator_outputs=("d_real", "d_fake"),
    cost="derm_bench_plugins.generators.gan_cost:adversarial",
    parts=("generator", "discriminator"),
    realness=True,
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    presets={**SMALL, "quick": QUICK},
)
