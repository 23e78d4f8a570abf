"""Options and spec of the control `blur`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.control_options import ControlOptions


class BlurOptions(ControlOptions):
    """The option of `blur`, the width of the Gaussian."""

    sigma: float = Field(2.0, gt=0, le=100, description="standard deviation of the Gaussian, in pixels")


SPEC = GeneratorSpec(
    name="blur",
    summary="control: real training images drawn again, blurred",
    create="derm_bench_plugins.generators.controls.blur:Blur",
    options=BlurOptions,
    parts=("order",),
    conditional=True,
    conditions_on="images",
    trains=False,
    presets={"tiny": {}, "smoke": {}},
    finite="derm_bench_plugins.generators.specs.control_options:without_end",
)
