"""Options and spec of the control `more-real`."""

from __future__ import annotations

from typing import Any

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.control_options import ControlOptions


def each_once(options: Any) -> str:
    """Return "reads": there are as many images as the fit reads, which the planner counts in the split."""
    return "reads"


SPEC = GeneratorSpec(
    name="more-real",
    summary="control: real images of the reserve, which is kept out of training",
    create="derm_bench_plugins.generators.controls.more_real:MoreReal",
    options=ControlOptions,
    parts=("order",),
    conditional=True,
    conditions_on="images",
    reads="reserve",
    trains=False,
    presets={"tiny": {}, "smoke": {}},
    finite="derm_bench_plugins.generators.specs.more_real:each_once",
)
