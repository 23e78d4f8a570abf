"""Options and spec of the control `bottleneck`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.control_options import ControlOptions


class BottleneckOptions(ControlOptions):
    """`size` has no default, because it must be the size of the generator with which the control is compared."""

    size: int = Field(
        ge=8,
        le=1024,
        description="side in pixels to which images are resized, before they are resized back: the size of the "
        "generator with which to compare",
    )


SPEC = GeneratorSpec(
    name="bottleneck",
    summary="control: real training images drawn again, resized to a generator's resolution and back",
    create="derm_bench_plugins.generators.controls.bottleneck:Bottleneck",
    options=BottleneckOptions,
    parts=("order",),
    conditional=True,
    conditions_on="images",
    trains=False,
    presets={"tiny": {"size": 16}, "smoke": {"size": 16}},
    finite="derm_bench_plugins.generators.specs.control_options:without_end",
)
