"""Spec of inception_score."""

from __future__ import annotations

from derm_bench_plugins.metrics.specs.features import on_inception

SPEC = on_inception(
    "inception_score",
    "Inception score of the synthetic images only, 10 splits; of limited meaning for skin",
    "derm_bench_plugins.metrics.inception:inception_score",
    "Salimans et al. 2016, eq. 1",
    higher_is_better=True,
)
