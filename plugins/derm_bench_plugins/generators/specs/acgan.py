"""Options and spec of `acgan`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import QUICK_POOLED, SMALL
from derm_bench_plugins.generators.specs.conditional_options import ConditionalOptions


class AcganOptions(ConditionalOptions):
    class_weight: float = Field(
        1.0,
        ge=0,
        description="weight of the cross entropy of the classes; that of real and fake has weight 1",
    )


SPEC = GeneratorSpec(
    name="acgan",
    summary="AC-GAN: a discriminator with an auxiliary classifier, trained on reals and fakes",
    paper="Odena et al. 2017, as in Xiang and Wang 2019; cited by papers 001 and 003",
    create="derm_bench_plugins.generators.acgan:AcGan",
    options=AcganOptions,
    discriminator_outputs=("d_real", "d_fake"),
    cost="derm_bench_plugins.generators.gan_cost:adversarial",
    parts=("generator", "discriminator"),
    realness=True,
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    conditional=True,
    presets={**SMALL, "quick": QUICK_POOLED},
)
