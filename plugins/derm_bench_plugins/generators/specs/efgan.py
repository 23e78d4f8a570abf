"""Options and spec of `efgan`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.dcgan import DcganOptions


class EfganOptions(DcganOptions):
    """A DCGAN between two augmentations."""

    colour: Literal["hue", "permutations"] = Field(
        "hue",
        description="what the originals are multiplied by: five small turns of hue, or the six orders of the channels, "
        "the paper's, which changes what a lesion's colour says of it",
    )
    hue: float = Field(
        0.05, ge=0, le=0.5, description="largest turn of hue, a share of the colour circle; colour: hue only"
    )
    rotate: Literal[30, 45, 60, 90] = Field(
        90,
        description="generated images are turned by a multiple of it, degrees; 90 moves pixels without resampling",
    )


SPEC = GeneratorSpec(
    name="efgan",
    summary="EF-GAN: colour-space augmentation, a DCGAN on it, rotation of what it makes",
    paper="Xu et al. 2020",
    create="derm_bench_plugins.generators.efgan:Efgan",
    options=EfganOptions,
    presets={
        "tiny": {"base": 8, "z_dim": 8, "batch_size": 8, "budget": {"updates": 4}},
        "smoke": {"base": 16, "batch_size": 16, "budget": {"updates": 20}},
    },
)
