"""Options and spec of the control `duplicate`."""

from __future__ import annotations

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.control_options import ControlOptions

SPEC = GeneratorSpec(
    name="duplicate",
    summary="control: real training images drawn again",
    create="derm_bench_plugins.generators.controls.duplicate:Duplicate",
    options=ControlOptions,
    parts=("order",),
    conditional=True,
    conditions_on="images",
    trains=False,
    presets={"tiny": {}, "smoke": {}},
    finite="derm_bench_plugins.generators.specs.control_options:without_end",
)
