"""Distances of features as metrics: fid, kid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derm_bench.fidelity.distances import frechet_distance, kernel_distance
from derm_bench_plugins.metrics.measured import Measured

if TYPE_CHECKING:
    from derm_bench.specs import Task


def fid(options: Any, task: Task) -> Measured:
    return Measured("fid", frechet_distance, fewest=options.min_images)


def kid(options: Any, task: Task) -> Measured:
    return Measured("kid", kernel_distance)
