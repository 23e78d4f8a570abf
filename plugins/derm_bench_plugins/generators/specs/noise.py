"""Options and spec of the control `noise`."""

from __future__ import annotations

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.control_options import ControlOptions

SPEC = GeneratorSpec(
    name="noise",
    summary="control: pixels drawn uniformly",
    create="derm_bench_plugins.generators.controls.noise:Noise",
    options=ControlOptions,
    parts=(),
    conditional=True,
    trains=False,
    presets={"tiny": {}, "smoke": {}},
)
