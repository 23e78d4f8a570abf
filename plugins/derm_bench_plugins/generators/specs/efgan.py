"""Options and spec of `efgan`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import QUICK
from derm_bench_plugins.generators.specs.dcgan import DcganOptions


class EfganOptions(DcganOptions):
    """The options of DCGAN, of the augmentation of its training images, and of the rotation of its samples."""

    ema: float = Field(
        0.0, ge=0, lt=1, description="decay of a moving average of G's weights; 0: none, as in the paper"
    )
    colour: Literal["hue", "permutations"] = Field(
        "hue",
        description="how training images are recoloured: by five small shifts of hue, or, as in the paper, by the six "
        "orders of the channels, which removes most of the diagnostic meaning of a lesion's colour",
    )
    hue: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="largest shift of hue, as a fraction of the colour circle; for colour: hue only",
    )
    rotate: Literal[30, 45, 60, 90] = Field(
        90,
        description="generated images are rotated by a multiple of this angle in degrees; 90 needs no resampling",
    )


SPEC = GeneratorSpec(
    name="efgan",
    summary="EF-GAN: colour augmentation, a DCGAN trained on the result, rotation of its samples",
    paper="Xu et al. 2020",
    create="derm_bench_plugins.generators.efgan:Efgan",
    options=EfganOptions,
    discriminator_outputs=("d_real", "d_fake"),
    cost="derm_bench_plugins.generators.gan_cost:adversarial",
    parts=("generator", "discriminator"),
    realness=True,
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    presets={
        "tiny": {"base": 8, "z_dim": 8, "batch_size": 8, "budget": {"updates": 4}},
        "smoke": {"base": 16, "batch_size": 16, "budget": {"updates": 20}},
        "quick": QUICK,
    },
)
