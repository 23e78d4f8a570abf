"""Options and spec of `dermgan`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import Betas, GeneratorOptions, GeneratorSpec, LearningRate


class DermganOptions(GeneratorOptions):
    """The settings of pix2pix. The weights of the losses added by DermGAN are choices, as its text was not
    available."""

    batch_size: int = Field(16, ge=1, le=65536, description="pairs of map and image per update")
    lr: LearningRate = Field(2e-4, description="learning rate of Adam, for G and for D")
    betas: Betas = Field((0.5, 0.999), description="betas of Adam")
    base: int = Field(64, ge=2, le=512, description="channels of the first layer of G and D")
    d_base: int | None = Field(None, ge=2, le=512, description="channels of D's first layer; default: `base`")
    region: Literal["box", "mask"] = Field(
        "box",
        description="region of the lesion in the map: its bounding box, as in the paper, or its mask",
    )
    l1: float = Field(100.0, ge=0, description="weight of the L1 loss over the image")
    l1_lesion: float = Field(10.0, ge=0, description="weight of the L1 loss over the lesion only")
    feature_matching: float = Field(
        10.0, ge=0, description="weight of the L1 loss between D's features of real and generated images"
    )
    patch_layers: int | None = Field(
        None,
        ge=1,
        le=5,
        description="stride-2 layers of D: 3 give patches of 70x70 pixels, 2 of 34x34, 1 of 16x16; default: 3 from "
        "256 px on, one fewer per halving of the side",
    )
    resize: float = Field(
        0.3, ge=0, lt=1, description="largest relative change of the size of a sample's region"
    )
    move: float = Field(
        0.15, ge=0, le=1, description="largest shift of the region, as a fraction of the side"
    )


SPEC = GeneratorSpec(
    name="dermgan",
    summary="DermGAN: pix2pix from maps of skin tone and of a lesion's position and class",
    paper="Ghorbani et al. 2020",
    create="derm_bench_plugins.generators.dermgan:Dermgan",
    options=DermganOptions,
    discriminator_outputs=("d_real", "d_fake"),
    cost="derm_bench_plugins.generators.gan_cost:adversarial",
    parts=("generator", "discriminator", "order"),
    preflight="derm_bench_plugins.generators.sizes:from_sixteen",
    conditional=True,
    conditions_on="masks",
    presets={
        "tiny": {"base": 4, "batch_size": 8, "budget": {"updates": 4}},
        "smoke": {"base": 16, "batch_size": 8, "budget": {"updates": 20}},
    },
)
