"""Frechet and kernel distances as metrics: fd_domain, kid_domain, fid, kid."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derm_bench.fidelity.distances import frechet_distance, kernel_distance

if TYPE_CHECKING:
    from derm_bench.fidelity.distances import Interval
    from derm_bench.specs import Task


class Distance:
    """A distance of the harness, as a metric called `name`."""

    def __init__(self, name: str, distance: Callable[..., Interval]) -> None:
        self.name = name
        self.distance = distance

    def compute(self, real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> dict[str, float]:
        """Return the distance between features [N,D] and [M,D]."""
        return {self.name: self.distance(real, synthetic, groups=0).value}

    def intervals(self, real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> dict[str, Interval]:
        """Return the distance with its jackknife interval."""
        return {self.name: self.distance(real, synthetic)}


def fd_domain(options: Any, task: Task) -> Distance:
    return Distance("fd_domain", frechet_distance)


def kid_domain(options: Any, task: Task) -> Distance:
    return Distance("kid_domain", kernel_distance)


def fid(options: Any, task: Task) -> Distance:
    return Distance("fid", frechet_distance)


def kid(options: Any, task: Task) -> Distance:
    return Distance("kid", kernel_distance)
