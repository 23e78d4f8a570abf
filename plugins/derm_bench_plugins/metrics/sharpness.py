"""The metric `sharpness`: fine structure of synthetic images relative to that of real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derm_bench.fidelity import spectrum
from derm_bench_plugins.metrics.measured import Measured

if TYPE_CHECKING:
    from derm_bench.specs import Task


def sharpness(options: Any, task: Task) -> Measured:
    return Measured("sharpness", spectrum.sharpness)
