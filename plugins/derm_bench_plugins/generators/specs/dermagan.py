"""Options and spec of `dermagan`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import QUICK, SMALL, TwoPlayerOptions


class DermaganOptions(TwoPlayerOptions):
    """The defaults are the settings of the paper."""

    z_dim: int = Field(512, ge=1, le=4096, description="length of the noise vector z")
    base: int = Field(
        64,
        ge=1,
        le=1024,
        description="channels of G's last hidden layer and of D's first layer; the paper has 64",
    )


SPEC = GeneratorSpec(
    name="dermagan",
    summary="DermaGAN: a DCGAN without biases, with z of length 512, one network per class",
    paper="paper 003, section C: synthetic images of four lesions at 64 px",
    create="derm_bench_plugins.generators.dermagan:DermaGan",
    options=DermaganOptions,
    discriminator_outputs=("d_real", "d_fake"),
    cost="derm_bench_plugins.generators.gan_cost:adversarial",
    parts=("generator", "discriminator"),
    realness=True,
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    presets={**SMALL, "quick": QUICK},
)
