"""Options and spec of `tedgan`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.acgan import AcganOptions
from derm_bench_plugins.generators.specs.common import QUICK_POOLED, SMALL


class TedganOptions(AcganOptions):
    """The module `tedgan` lists the choices that the paper's abstract leaves open."""

    classifiers: Literal["second", "both"] = Field(
        "second", description="which GANs have an auxiliary classifier; the paper's second one alone"
    )
    nu: int = Field(3, ge=3, le=100, description="degrees of freedom of the Student-t noise")
    vae_share: float = Field(
        0.25,
        ge=0,
        lt=1,
        description="fraction of the budget that trains the VAE, before the GANs are trained",
    )
    latent_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="fraction of samples from the GAN on VAE latents; the rest is from the GAN on Student-t noise",
    )


SPEC = GeneratorSpec(
    name="tedgan",
    summary="TED-GAN: a GAN on latents of a VAE and a GAN on heavy-tailed Student-t noise",
    paper="Ahmad et al. 2021, cited by paper 003",
    create="derm_bench_plugins.generators.tedgan:TedGan",
    options=TedganOptions,
    discriminator_outputs=("d_real", "d_fake"),
    cost="derm_bench_plugins.generators.gan_cost:adversarial",
    parts=("latents", "vae", "generator_latents", "discriminator_latents", "generator", "discriminator"),
    realness=True,
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    conditional=True,
    presets={**SMALL, "quick": QUICK_POOLED},
)
