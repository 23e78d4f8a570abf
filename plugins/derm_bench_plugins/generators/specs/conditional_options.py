"""Options of the conditional GANs on the layers of DCGAN, which learn all classes in one fit."""

from __future__ import annotations

from pydantic import Field

from derm_bench_plugins.generators.specs.common import TwoPlayerOptions


class ConditionalOptions(TwoPlayerOptions):
    """The settings of DCGAN. `base: 128` gives the widths of Radford et al."""

    base: int = Field(
        128,
        ge=2,
        le=1024,
        description="channels of G's last hidden layer and of D's first layer",
    )
