"""Metrics of images: on the split's own reference network, and on Inception where its weights are."""

from __future__ import annotations

from derm_bench.specs import MetricSpec
from derm_bench_plugins.metrics.specs import SPECS


def specs() -> list[MetricSpec]:
    """Every built-in metric."""
    return list(SPECS)
