"""Creates the specs of image metrics, by the features they use: those of the reference networks, or of a network with
weights from elsewhere."""

from __future__ import annotations

from derm_bench.specs import MetricSpec
from derm_bench_plugins.metrics.extractors.options import EXTRACTORS, READ, FeatureOptions

HERE = "derm_bench_plugins.metrics.extractors"


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


def on_network(
    name: str,
    summary: str,
    create: str,
    paper: str,
    *,
    options: type[FeatureOptions],
    higher_is_better: bool,
) -> MetricSpec:
    """Create the spec of a metric on the features of Inception, or of another network that its options choose."""
    return MetricSpec(
        name=name,
        summary=summary,
        create=create,
        paper=paper,
        options=options,
        preflight=f"{HERE}.planning:preflight",
        depends_on=f"{HERE}.weights:used_weights",
        level="images",
        higher_is_better=higher_is_better,
        extractors=EXTRACTORS,
        feature_options=READ,
        variant="variant",
    )
