"""Options and spec of `spggan`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import Betas, GeneratorSpec, LearningRate
from derm_bench_plugins.generators.specs.common import GanOptions


class SpgganOptions(GanOptions):
    """The settings of Abdelhalim et al. 2021 and, where they state none, of Karras et al. 2018."""

    z_dim: int = Field(512, ge=1, le=4096, description="length of the noise vector z")
    batch_size: int = Field(16, ge=2, le=65536, description="real images per update, at every resolution")
    lr: LearningRate = Field(1e-4, description="learning rate of G's Adam")
    lr_d: LearningRate = Field(4e-4, description="learning rate of D's Adam (two time scales)")
    betas: Betas = Field((0.0, 0.9), description="betas of both Adams")
    base: int = Field(
        256, ge=4, le=4096, description="channels at 64x64; twice as many per halving of the side"
    )
    widest: int = Field(512, ge=4, le=4096, description="largest number of channels")
    attention: int = Field(
        32,
        ge=4,
        le=1024,
        description="side of the features with self-attention, in G and in D; in smaller images, the largest side",
    )
    growth: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="fraction of the budget during which the networks grow; the rest trains at full size",
    )
    loss: Literal["wgan", "hinge"] = Field(
        "wgan", description="adversarial loss; both use the gradient penalty"
    )
    penalty: float = Field(10.0, ge=0, description="weight of the gradient penalty (lambda)")
    drift: float = Field(0.001, ge=0, description="weight of the mean squared score of real images")
    ema: float = Field(
        0.999,
        ge=0,
        lt=1,
        description="decay of the moving average of G's weights, from which samples are drawn",
    )


SPEC = GeneratorSpec(
    name="spggan",
    summary="SPGGAN: progressive growing with self-attention and two learning rates, WGAN-GP",
    paper="Abdelhalim et al. 2021, on Karras et al. 2018 and Zhang et al. 2019",
    create="derm_bench_plugins.generators.spggan:Spggan",
    options=SpgganOptions,
    cost="derm_bench_plugins.generators.gan_cost:adversarial",
    parts=("generator", "discriminator"),
    realness=True,
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    presets={
        "tiny": {"base": 4, "widest": 8, "z_dim": 8, "batch_size": 8, "budget": {"updates": 6}},
        "smoke": {"base": 8, "widest": 32, "z_dim": 32, "batch_size": 8, "budget": {"updates": 20}},
    },
)
