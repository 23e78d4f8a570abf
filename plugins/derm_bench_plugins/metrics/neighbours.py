"""The metrics density, coverage, precision and recall, on features of the reference network or of Inception."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derm_bench.fidelity import neighbours

if TYPE_CHECKING:
    from derm_bench.fidelity.distances import Interval
    from derm_bench.specs import Task


class Neighbourhood:
    """A nearest-neighbour measure of the harness (k = 5), as a metric called `name`."""

    def __init__(self, name: str, measure: Callable[..., Interval]) -> None:
        self.name = name
        self.measure = measure

    def compute(self, real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> dict[str, float]:
        """Return the measure for features [N,D] and [M,D]."""
        return {self.name: self.measure(real, synthetic, groups=0).value}

    def intervals(self, real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> dict[str, Interval]:
        """Return the measure with its jackknife interval."""
        return {self.name: self.measure(real, synthetic)}


def density_domain(options: Any, task: Task) -> Neighbourhood:
    return Neighbourhood("density_domain", neighbours.density)


def coverage_domain(options: Any, task: Task) -> Neighbourhood:
    return Neighbourhood("coverage_domain", neighbours.coverage)


def density(options: Any, task: Task) -> Neighbourhood:
    return Neighbourhood("density", neighbours.density)


def coverage(options: Any, task: Task) -> Neighbourhood:
    return Neighbourhood("coverage", neighbours.coverage)


def prdc_precision(options: Any, task: Task) -> Neighbourhood:
    return Neighbourhood("prdc_precision", neighbours.precision)


def prdc_recall(options: Any, task: Task) -> Neighbourhood:
    return Neighbourhood("prdc_recall", neighbours.recall)
