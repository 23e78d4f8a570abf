"""Options and spec of `cgan`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import SMALL
from derm_bench_plugins.generators.specs.conditional_options import ConditionalOptions


class CganOptions(ConditionalOptions):
    loss: Literal["bce", "hinge"] = Field("bce", description="adversarial loss of D and of G")


SPEC = GeneratorSpec(
    name="cgan",
    summary="conditional GAN with a projection discriminator, BCE or hinge",
    paper="Miyato and Koyama 2018; conditional GANs for skin are cited by paper 003 (Tsai et al. 2024)",
    create="derm_bench_plugins.generators.cgan:Cgan",
    options=CganOptions,
    parts=("generator", "discriminator"),
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    conditional=True,
    presets=SMALL,
)
