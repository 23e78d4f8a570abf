"""The metrics density, coverage, precision, recall and two-sample accuracy, on features of the reference networks or of
Inception."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derm_bench.fidelity import neighbours
from derm_bench_plugins.metrics.measured import Measured, MeasuredByNetwork

if TYPE_CHECKING:
    from derm_bench.specs import Task


def density_domain(options: Any, task: Task) -> Measured:
    return MeasuredByNetwork("density_domain", neighbours.density)


def coverage_domain(options: Any, task: Task) -> Measured:
    return MeasuredByNetwork("coverage_domain", neighbours.coverage)


def nn_accuracy_domain(options: Any, task: Task) -> Measured:
    return MeasuredByNetwork("nn_accuracy_domain", neighbours.two_sample_accuracy)


def density(options: Any, task: Task) -> Measured:
    return Measured("density", neighbours.density)


def coverage(options: Any, task: Task) -> Measured:
    return Measured("coverage", neighbours.coverage)


def prdc_precision(options: Any, task: Task) -> Measured:
    return Measured("prdc_precision", neighbours.precision)


def prdc_recall(options: Any, task: Task) -> Measured:
    return Measured("prdc_recall", neighbours.recall)
