"""Options and spec of `tedgan`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.acgan import AcganOptions
from derm_bench_plugins.generators.specs.common import SMALL


class TedganOptions(AcganOptions):
    """The module `tedgan` lists what the paper's abstract leaves open."""

    nu: int = Field(3, ge=3, le=100, description="degrees of freedom of the Student-t noise")
    vae_share: float = Field(
        0.25, ge=0, lt=1, description="share of the budget that trains the VAE, before the GANs train"
    )
    latent_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of samples from the GAN of VAE latents; the rest are of Student-t noise",
    )


SPEC = GeneratorSpec(
    name="tedgan",
    summary="TED-GAN: a GAN on latents of a VAE, and one on heavy-tailed Student-t noise",
    paper="Ahmad et al. 2021, cited by paper 003",
    create="derm_bench_plugins.generators.tedgan:TedGan",
    options=TedganOptions,
    conditional=True,
    presets=SMALL,
)
