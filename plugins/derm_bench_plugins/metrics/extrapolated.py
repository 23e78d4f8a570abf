"""The metric `fd_infinity`: the Frechet distance extrapolated to infinitely many images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derm_bench.fidelity.extrapolation import extrapolated_distance
from derm_bench_plugins.metrics.measured import Measured

if TYPE_CHECKING:
    from derm_bench.specs import Task


def fd_infinity(options: Any, task: Task) -> Measured:
    return Measured("fd_infinity", extrapolated_distance, fewest=options.min_images)
