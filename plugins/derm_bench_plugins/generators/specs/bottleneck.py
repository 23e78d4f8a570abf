"""Options and spec of the control `bottleneck`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.control_options import ControlOptions


class BottleneckOptions(ControlOptions):
    """The size has no default: it is that of the generator to compare with."""

    size: int = Field(
        ge=8,
        le=1024,
        description="side in pixels through which the images go: that of the generator compared with",
    )


SPEC = GeneratorSpec(
    name="bottleneck",
    summary="control: real training images drawn again, through a generator's resolution and back",
    create="derm_bench_plugins.generators.controls.bottleneck:Bottleneck",
    options=BottleneckOptions,
    conditional=True,
    conditions_on="images",
    trains=False,
    presets={"tiny": {"size": 16}, "smoke": {"size": 16}},
    finite="derm_bench_plugins.generators.specs.control_options:without_end",
)
