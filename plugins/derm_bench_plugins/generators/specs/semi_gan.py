"""Options and spec of `semi-gan`."""

from __future__ import annotations

from pydantic import Field, field_validator

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import QUICK_POOLED, SMALL
from derm_bench_plugins.generators.specs.conditional_options import ConditionalOptions


class SemiGanOptions(ConditionalOptions):
    """The options of the conditional GANs, but for `smoothing`: D has classes instead of a target for reals."""

    feature_matching: float = Field(
        0,
        ge=0,
        le=1e6,
        description="weight, in the loss of G, of the squared distance between D's mean features of reals and of fakes "
        "of a class (Salimans et al. 2016, section 3.1)",
    )

    @field_validator("smoothing")
    @classmethod
    def _there_is_no_target_to_lower(cls, value: float) -> float:
        if value:
            raise ValueError("semi-gan has no target for reals that could be lowered: leave smoothing out")
        return value


SPEC = GeneratorSpec(
    name="semi-gan",
    summary='GAN whose discriminator classifies images into K classes and "fake" by one softmax',
    paper="Rashid et al. 2019, cited by papers 002 and 003; losses of Salimans et al. 2016",
    create="derm_bench_plugins.generators.semi_gan:SemiGan",
    options=SemiGanOptions,
    discriminator_outputs=("d_real", "d_fake"),
    cost="derm_bench_plugins.generators.gan_cost:adversarial",
    parts=("generator", "discriminator"),
    realness=True,
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    conditional=True,
    presets={**SMALL, "quick": {**QUICK_POOLED, "feature_matching": 10.0}},
)
