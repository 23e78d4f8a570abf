"""Metrics of images: on the split's own reference network, and on Inception where its weights are."""

from __future__ import annotations

from derm_bench.specs import MetricSpec
from derm_bench_plugins.metrics.specs import distances, inception_score, neighbours


def specs() -> list[MetricSpec]:
    """Every built-in metric."""
    return [
        *distances.DOMAIN,
        *neighbours.DOMAIN,
        *distances.INCEPTION,
        inception_score.SPEC,
        *neighbours.INCEPTION,
    ]
