"""Options of the conditional GANs on the layers of DCGAN, which learn all classes in one fit."""

from __future__ import annotations

from pydantic import Field

from derm_bench_plugins.generators.specs.common import GanOptions


class ConditionalOptions(GanOptions):
    """The settings of DCGAN. `base: 128` gives the widths of Radford et al."""

    base: int = Field(
        128,
        ge=2,
        le=1024,
        multiple_of=2,
        description="channels of G's last hidden layer; D's first layer has half as many",
    )
