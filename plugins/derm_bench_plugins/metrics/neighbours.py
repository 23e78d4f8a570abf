"""The metrics density, coverage, precision and recall on features of a network with weights from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derm_bench.fidelity import neighbours
from derm_bench_plugins.metrics.measured import Measured

if TYPE_CHECKING:
    from collections.abc import Callable

    from derm_bench.fidelity.distances import Interval
    from derm_bench.specs import Task


def density(options: Any, task: Task) -> Measured:
    return _measured("density", neighbours.density, options)


def coverage(options: Any, task: Task) -> Measured:
    return _measured("coverage", neighbours.coverage, options)


def prdc_precision(options: Any, task: Task) -> Measured:
    return _measured("prdc_precision", neighbours.precision, options)


def prdc_recall(options: Any, task: Task) -> Measured:
    return _measured("prdc_recall", neighbours.recall, options)


def _measured(name: str, measure: Callable[..., Interval], options: Any) -> Measured:
    """Return a metric with neighbourhoods of `options.k` images. It has no value where there are too few images for
    them."""
    return Measured(name, measure, fewest=options.k + 1, options={"k": options.k})
