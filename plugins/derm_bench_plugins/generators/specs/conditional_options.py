"""Options of GANs on the layers of DCGAN that one fit teaches all classes."""

from __future__ import annotations

from pydantic import Field

from derm_bench_plugins.generators.specs.common import GanOptions


class ConditionalOptions(GanOptions):
    """DCGAN's settings; `base` 128 gives Radford's widths."""

    base: int = Field(
        128, ge=2, le=1024, multiple_of=2, description="channels of G's last hidden layer; D starts at half"
    )
