"""Options and spec of `cgan`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from derm_bench.specs import Betas, GeneratorSpec
from derm_bench_plugins.generators.specs.common import QUICK_POOLED, SMALL
from derm_bench_plugins.generators.specs.conditional_options import ConditionalOptions


class CganOptions(ConditionalOptions):
    """The settings of Miyato and Koyama 2018; the preset `mirza` has those of Mirza and Osindero 2014."""

    loss: Literal["bce", "hinge"] = Field("hinge", description="adversarial loss of D and of G")
    betas: Betas = Field((0.0, 0.9), description="betas of Adam")
    d_steps: int = Field(5, ge=1, le=100, description="updates of D per update of G, as in `dcgan`")
    discriminator: Literal["projection", "planes"] = Field(
        "projection",
        description="how D gets the class: by projection, or as constant planes beside the image",
    )
    conditional_norm: bool = Field(
        True,
        description="whether G gets the class in every BatchNorm; otherwise an embedding of it is joined with z",
    )
    spectral_norm: bool = Field(
        True, description="spectral normalisation of D's layers (Miyato et al. 2018), without its BatchNorm"
    )

    @model_validator(mode="after")
    def _smoothing_fits_the_loss(self) -> CganOptions:
        if self.smoothing and self.loss != "bce":
            raise ValueError(
                "smoothing lowers the target of a cross-entropy: write loss: bce, or leave it out"
            )
        return self


SPEC = GeneratorSpec(
    name="cgan",
    summary="conditional GAN: projection discriminator and conditional BatchNorm, or the form of 2014",
    paper="Miyato and Koyama 2018; conditional GANs for skin are cited by paper 003 (Tsai et al. 2024)",
    create="derm_bench_plugins.generators.cgan:Cgan",
    options=CganOptions,
    discriminator_outputs=("d_real", "d_fake"),
    cost="derm_bench_plugins.generators.gan_cost:adversarial",
    parts=("generator", "discriminator"),
    realness=True,
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    conditional=True,
    presets={
        **SMALL,
        "quick": {**QUICK_POOLED, "d_steps": 1},
        "mirza": {
            "loss": "bce",
            "betas": (0.5, 0.999),
            "d_steps": 1,
            "discriminator": "planes",
            "conditional_norm": False,
            "spectral_norm": False,
        },
    },
)
