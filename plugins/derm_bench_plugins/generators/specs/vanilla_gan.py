"""Options and spec of `vanilla-gan`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import QUICK, SMALL, TwoPlayerOptions


class VanillaOptions(TwoPlayerOptions):
    """The module `vanilla_gan` lists the choices that Goodfellow et al. 2014 leave open."""

    base: int = Field(
        256,
        ge=2,
        le=4096,
        description="units of G's first hidden layer and of D's last one; the other layers have multiples of it",
    )


SPEC = GeneratorSpec(
    name="vanilla-gan",
    summary="the first GAN: two perceptrons trained with BCE, one pair per class",
    paper="Goodfellow et al. 2014",
    create="derm_bench_plugins.generators.vanilla_gan:VanillaGan",
    options=VanillaOptions,
    discriminator_outputs=("d_real", "d_fake"),
    parts=("generator", "discriminator"),
    realness=True,
    presets={**SMALL, "quick": {**QUICK, "base": 128, "lr": 4e-4, "budget": {"updates": 600}}},
)
