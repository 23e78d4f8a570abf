"""Options and spec of `iagan`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import TwoPlayerOptions


class IaganOptions(TwoPlayerOptions):
    """The widths of the networks are choices, because the paper's text was not available."""

    batch_size: int = Field(32, ge=2, le=65536, description="real images per update of D")
    base: int = Field(
        32, ge=4, le=512, multiple_of=4, description="channels after the first layer of the encoder and of D"
    )
    code: int = Field(
        64,
        ge=1,
        le=4096,
        description="channels of the 4x4 map to which an image is encoded; z is projected to a map of the same size",
    )
    z_per_image: int = Field(
        10, ge=1, le=100_000, description="consecutive samples that start from the same real image"
    )


SPEC = GeneratorSpec(
    name="iagan",
    summary="IAGAN: images from a real image and noise, by inception and self-attention blocks",
    paper="Motamed, Rogalla and Khalvati 2021",
    create="derm_bench_plugins.generators.iagan:Iagan",
    options=IaganOptions,
    discriminator_outputs=("d_real", "d_fake"),
    cost="derm_bench_plugins.generators.gan_cost:adversarial",
    parts=("generator", "discriminator", "order"),
    realness=True,
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    conditions_on="images",
    presets={
        "tiny": {"base": 4, "code": 4, "z_dim": 8, "batch_size": 8, "budget": {"updates": 4}},
        "smoke": {"base": 8, "code": 16, "batch_size": 16, "budget": {"updates": 20}},
    },
)
