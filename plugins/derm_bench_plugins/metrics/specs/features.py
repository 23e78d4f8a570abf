"""How specs of image metrics differ by the features they are computed from: the reference network's, or Inception's."""

from __future__ import annotations

from derm_bench.specs import MetricSpec
from derm_bench_plugins.metrics.inception_options import InceptionOptions


def on_domain(name: str, summary: str, create: str, paper: str, *, higher_is_better: bool) -> MetricSpec:
    """A metric on the reference network of the split."""
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
    """A metric on Inception features, whose weights have to be there."""
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
