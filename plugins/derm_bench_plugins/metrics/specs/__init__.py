"""Specs of the metrics, one module per method. Imports no torch."""

from __future__ import annotations

from derm_bench.specs import MetricSpec
from derm_bench_plugins.metrics.specs import distances, inception_score, memorization, neighbours, sharpness

SPECS: list[MetricSpec] = [
    *distances.DOMAIN,
    sharpness.SPEC,
    *neighbours.DOMAIN,
    *memorization.SPECS,
    *distances.ON_NETWORKS,
    inception_score.SPEC,
    *neighbours.ON_NETWORKS,
]
