"""GANs that one fit teaches all classes: cgan, acgan, semi-gan, tedgan."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import SMALL, GanOptions


class ConditionalOptions(GanOptions):
    """DCGAN's settings; `base` 128 gives Radford's widths."""

    base: int = Field(
        128, ge=2, le=1024, multiple_of=2, description="channels of G's last hidden layer; D starts at half"
    )


class CganOptions(ConditionalOptions):
    loss: Literal["bce", "hinge"] = Field("bce", description="adversarial loss of D and of G")


class AcganOptions(ConditionalOptions):
    class_weight: float = Field(
        1.0, ge=0, description="of the cross entropy of classes, beside that of real and fake"
    )


class TedganOptions(AcganOptions):
    """What the paper's abstract leaves open is said in `tedgan`."""

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


def specs() -> list[GeneratorSpec]:
    return [
        GeneratorSpec(
            name="cgan",
            summary="conditional GAN with a projection discriminator, BCE or hinge",
            paper="Miyato and Koyama 2018; conditional GANs for skin are cited by paper 003 (Tsai et al. 2024)",
            create="derm_bench_plugins.generators.cgan:Cgan",
            options=CganOptions,
            conditional=True,
            presets=SMALL,
        ),
        GeneratorSpec(
            name="acgan",
            summary="AC-GAN: a discriminator with an auxiliary classifier of reals and fakes",
            paper="Odena et al. 2017, as in Xiang and Wang 2019; cited by papers 001 and 003",
            create="derm_bench_plugins.generators.acgan:AcGan",
            options=AcganOptions,
            conditional=True,
            presets=SMALL,
        ),
        GeneratorSpec(
            name="semi-gan",
            summary="GAN whose discriminator tells K classes and fakes by one softmax",
            paper="Rashid et al. 2019, cited by papers 002 and 003; losses of Salimans et al. 2016",
            create="derm_bench_plugins.generators.semi_gan:SemiGan",
            options=ConditionalOptions,
            conditional=True,
            presets=SMALL,
        ),
        GeneratorSpec(
            name="tedgan",
            summary="TED-GAN: a GAN on latents of a VAE, and one on heavy-tailed Student-t noise",
            paper="Ahmad et al. 2021, cited by paper 003",
            create="derm_bench_plugins.generators.tedgan:TedGan",
            options=TedganOptions,
            conditional=True,
            presets=SMALL,
        ),
    ]
