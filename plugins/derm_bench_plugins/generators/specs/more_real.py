"""Options and spec of the control `more-real`."""

from __future__ import annotations

from typing import Any

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.control_options import ControlOptions


def each_once(options: Any) -> str:
    """As many as the fit reads: the planner counts them in the split."""
    return "reads"


SPEC = GeneratorSpec(
    name="more-real",
    summary="control: real images that were kept out of training, those of the reserve",
    create="derm_bench_plugins.generators.controls.more_real:MoreReal",
    options=ControlOptions,
    conditional=True,
    conditions_on="images",
    reads="reserve",
    trains=False,
    presets={"tiny": {}, "smoke": {}},
    finite="derm_bench_plugins.generators.specs.more_real:each_once",
)
