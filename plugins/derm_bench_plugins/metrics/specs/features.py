"""Creates the specs of image metrics, by the features they use: those of the reference networks or of Inception."""

from __future__ import annotations

from derm_bench.specs import MetricSpec
from derm_bench_plugins.metrics.inception_options import InceptionOptions


def on_domain(name: str, summary: str, create: str, paper: str, *, higher_is_better: bool) -> MetricSpec:
    """Create the spec of a metric on the reference networks of the split."""
    return MetricSpec(
        name=name,
        summary=summary,
        create=create,
        paper=f"{paper}, on other features",
        level="images",
        higher_is_better=higher_is_better,
        extractor="domain",
    )


def on_inception(name: str, summary: str, create: str, paper: str, *, higher_is_better: bool) -> MetricSpec:
    """Create the spec of a metric on Inception features, which needs the Inception weights."""
    return MetricSpec(
        name=name,
        summary=summary,
        create=create,
        paper=paper,
        options=InceptionOptions,
        preflight="derm_bench_plugins.metrics.inception_weights:preflight",
        depends_on="derm_bench_plugins.metrics.inception_weights:used_weights",
        level="images",
        higher_is_better=higher_is_better,
        extractor="derm_bench_plugins.metrics.inception:extractor",
    )
