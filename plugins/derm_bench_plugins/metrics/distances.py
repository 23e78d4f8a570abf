"""Distances of features as metrics: mmd_domain, fd_domain, kid_domain, fid, kid, fd_infinity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derm_bench.fidelity.distances import frechet_distance, gaussian_distance, kernel_distance
from derm_bench.fidelity.extrapolation import extrapolated_distance
from derm_bench_plugins.metrics.measured import Measured, MeasuredByNetwork

if TYPE_CHECKING:
    from derm_bench.specs import Task


def mmd_domain(options: Any, task: Task) -> Measured:
    return MeasuredByNetwork("mmd_domain", gaussian_distance)


def fd_domain(options: Any, task: Task) -> Measured:
    return MeasuredByNetwork("fd_domain", frechet_distance)


def kid_domain(options: Any, task: Task) -> Measured:
    return MeasuredByNetwork("kid_domain", kernel_distance)


def fid(options: Any, task: Task) -> Measured:
    return Measured("fid", frechet_distance, fewest=options.min_images)


def kid(options: Any, task: Task) -> Measured:
    return Measured("kid", kernel_distance)


def fd_infinity(options: Any, task: Task) -> Measured:
    return Measured("fd_infinity", extrapolated_distance, fewest=options.min_images)
