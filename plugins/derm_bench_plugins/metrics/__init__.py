"""The built-in metrics of images: on features of the split's reference networks and, given weights, of others."""

from __future__ import annotations

from derm_bench.specs import MetricSpec
from derm_bench_plugins.metrics.specs import SPECS


def specs() -> list[MetricSpec]:
    """Return the specs of all built-in metrics."""
    return list(SPECS)
