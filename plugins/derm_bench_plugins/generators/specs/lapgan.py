"""Options and spec of `lapgan`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import GanOptions


class LapganOptions(GanOptions):
    """The settings of Denton et al. 2015, except that Adam replaces SGD."""

    batch_size: int = Field(
        128, ge=2, le=65536, description="real images per update, the same for all levels"
    )
    base: int = Field(64, ge=1, le=1024, description="channels of the convolutions of each level")
    d_base: int | None = Field(
        None, ge=1, le=1024, description="channels of D's convolutions at each level; default: `base`"
    )
    hidden: int = Field(
        1200,
        ge=2,
        le=16384,
        multiple_of=2,
        description="units of each hidden layer of G at 8x8; D has half as many",
    )
    dropout: float = Field(
        0.5, ge=0, lt=1, description="dropout of the discriminators, before their last layer"
    )
    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        "per_class",
        description="per_class: one pyramid per class, without label planes; pooled, or groups of classes: one "
        "pyramid for several classes, with label planes as input",
    )


SPEC = GeneratorSpec(
    name="lapgan",
    summary="LAPGAN: a Laplacian pyramid of GANs starting at 8x8, each level trained independently",
    paper="Denton et al. 2015; at 256 px as the baseline of Baur et al. 2018 (MelanoGANs)",
    create="derm_bench_plugins.generators.lapgan:Lapgan",
    options=LapganOptions,
    discriminator_outputs=("d_real", "d_fake"),
    cost="derm_bench_plugins.generators.gan_cost:adversarial",
    parts=("generator", "discriminator"),
    realness=True,
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    conditional=True,
    presets={
        "tiny": {"base": 4, "hidden": 16, "z_dim": 8, "batch_size": 8, "budget": {"updates": 4}},
        "smoke": {"base": 8, "hidden": 64, "batch_size": 16, "budget": {"updates": 20}},
        "melanogan": {"size": 256, "batch_size": 32},
    },
)
