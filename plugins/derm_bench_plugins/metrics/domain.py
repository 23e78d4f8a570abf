"""The metrics on the reference networks of the split, each a mean over the networks: mmd_domain, fd_domain, kid_domain,
density_domain, coverage_domain and nn_accuracy_domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from derm_bench.fidelity import neighbours
from derm_bench.fidelity.by_network import by_network
from derm_bench.fidelity.distances import Interval, frechet_distance, gaussian_distance, kernel_distance
from derm_bench_plugins.metrics.measured import Measured

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from derm_bench.specs import Task

    Floats = NDArray[np.float64]


class MeasuredByNetwork(Measured):
    """The mean of a measure over the reference networks. The bounds of its interval are the means of the bounds, which
    is right if the networks err alike, and too wide if they do not."""

    def _of(self, real: Floats, synthetic: Floats, **options: int) -> Interval:
        pairs = zip(by_network(real), by_network(synthetic), strict=True)
        found = [self.measure(x, y, **options) for x, y in pairs]
        return Interval(*(float(np.mean(values)) for values in zip(*found, strict=True)))


def mmd_domain(options: Any, task: Task) -> Measured:
    return MeasuredByNetwork("mmd_domain", gaussian_distance)


def fd_domain(options: Any, task: Task) -> Measured:
    return MeasuredByNetwork("fd_domain", frechet_distance)


def kid_domain(options: Any, task: Task) -> Measured:
    return MeasuredByNetwork("kid_domain", kernel_distance)


def density_domain(options: Any, task: Task) -> Measured:
    return MeasuredByNetwork("density_domain", neighbours.density)


def coverage_domain(options: Any, task: Task) -> Measured:
    return MeasuredByNetwork("coverage_domain", neighbours.coverage)


def nn_accuracy_domain(options: Any, task: Task) -> Measured:
    return MeasuredByNetwork("nn_accuracy_domain", neighbours.two_sample_accuracy)
