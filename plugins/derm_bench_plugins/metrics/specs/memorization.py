"""Specs of the memorization screen: nn_ratio and authenticity."""

from __future__ import annotations

from derm_bench.specs import MetricSpec

HERE = "derm_bench_plugins.metrics.memorization"

SPECS = [
    MetricSpec(
        name=name,
        summary=summary,
        create=f"{HERE}:{create}",
        paper=paper,
        level="images",
        higher_is_better=None,
        extractor="domain",
        screen=True,
    )
    for name, summary, create, paper in (
        (
            "nn_ratio",
            "distance of samples to training images over that to held-out images, relative to real images: 1 is "
            "best, less points to copies; nn_closer is the share that is nearer to training images, 0.5 by chance",
            "NearestRatio",
            "three-sample tests: Meehan et al. 2020",
        ),
        (
            "authenticity",
            "fraction of samples that are farther from their nearest training image than that is from its own nearest "
            "one; compare with real images",
            "Authenticity",
            "Alaa et al. 2022",
        ),
    )
]
