"""Options shared by the GANs, and the presets of small networks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from derm_bench.specs import Betas, GeneratorOptions, LearningRate


class GanOptions(GeneratorOptions):
    """Options of a generator G and a discriminator D trained with Adam. A subclass may change the defaults."""

    z_dim: int = Field(100, ge=1, le=4096, description="length of the noise vector z")
    batch_size: int = Field(64, ge=2, le=65536, description="real images per update of D")
    lr: LearningRate = Field(
        2e-4, description="learning rate of Adam, for G and, unless `lr_d` is set, for D"
    )
    lr_d: LearningRate | None = Field(None, description="learning rate of D's Adam; default: that of G")
    betas: Betas = Field((0.5, 0.999), description="betas of Adam")
    ema: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay of a moving average of G's weights, from which samples are drawn; 0: the weights "
        "themselves, as in the papers up to 2017",
    )


class TwoPlayerOptions(GanOptions):
    """Options of the GANs that update D once per batch and then G (`derm_bench_plugins.generators.gan`). All are off by
    default, because the papers do not have them."""

    d_base: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="channels of D's first layer; default: `base`, so that D is as wide as G",
    )
    d_steps: int = Field(
        1,
        ge=1,
        le=100,
        description="updates of D per update of G. An update of the budget is a batch of real images, and so an update "
        "of D; G is updated at the first one and at every `d_steps`-th after it",
    )
    smoothing: float = Field(
        0.0,
        ge=0,
        lt=0.5,
        description="one-sided label smoothing (Salimans et al. 2016, section 3.4): D's target for reals is "
        "1 - `smoothing`; for the loss `bce` only",
    )
    diffaugment: tuple[Literal["color", "translation", "cutout"], ...] = Field(
        (),
        description="DiffAugment (Zhao et al. 2020) of all images that D sees, for a few hundred training images",
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout after every activation of D")
    spectral_norm: bool = Field(
        False, description="spectral normalisation of D's layers (Miyato et al. 2018), without its BatchNorm"
    )


# The best pictures in minutes on two cores of the settings tried at 32 px, by eye and by `mmd_domain`. The average of
# the weights allows for a high learning rate.
QUICK: dict[str, Any] = {"base": 24, "batch_size": 32, "lr": 8e-4, "ema": 0.97, "budget": {"updates": 300}}
# A fit of two classes at once sees each of them as often.
QUICK_POOLED: dict[str, Any] = {**QUICK, "budget": {"updates": 600}}

# Presets of the GANs on the layers of DCGAN.
SMALL: dict[str, dict[str, Any]] = {
    "tiny": {"base": 8, "z_dim": 8, "batch_size": 8, "budget": {"updates": 4}},
    "smoke": {"base": 16, "batch_size": 16, "budget": {"updates": 20}},
}
