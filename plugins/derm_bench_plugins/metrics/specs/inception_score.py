"""Spec of inception_score."""

from __future__ import annotations

from derm_bench.specs import MetricSpec
from derm_bench_plugins.metrics.extractors.options import EXTRACTORS
from derm_bench_plugins.metrics.inception_options import InceptionOptions

SPEC = MetricSpec(
    name="inception_score",
    summary="Inception score of the synthetic images only, over 10 splits; of limited meaning for skin",
    create="derm_bench_plugins.metrics.inception:inception_score",
    paper="Salimans et al. 2016, eq. 1",
    options=InceptionOptions,
    preflight="derm_bench_plugins.metrics.inception_weights:preflight",
    depends_on="derm_bench_plugins.metrics.inception_weights:used_weights",
    level="images",
    higher_is_better=True,
    extractor=EXTRACTORS["inception"],
    feature_options=("weights",),
)
