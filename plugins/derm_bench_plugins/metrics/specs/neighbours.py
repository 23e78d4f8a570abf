"""Specs of the metrics of neighbourhoods (k = 5): density, coverage, precision and recall."""

from __future__ import annotations

from derm_bench_plugins.metrics.specs.features import on_domain, on_inception

HERE = "derm_bench_plugins.metrics.neighbours"

# name -> summary, paper
MEASURES = {
    "density": (
        "how densely synthetic images lie where real ones are; about 1 for real ones",
        "Naeem et al. 2020",
    ),
    "coverage": ("share of real images with a synthetic one in their neighbourhood", "Naeem et al. 2020"),
    "prdc_precision": ("share of synthetic images within the real ones", "Kynkaanniemi et al. 2019"),
    "prdc_recall": ("share of real images within the synthetic ones", "Kynkaanniemi et al. 2019"),
}

DOMAIN = [
    on_domain(
        f"{name}_domain",
        f"{summary}, on the reference network",
        f"{HERE}:{name}_domain",
        paper,
        higher_is_better=True,
    )
    for name, (summary, paper) in MEASURES.items()
    if name in ("density", "coverage")
]
INCEPTION = [
    on_inception(name, summary, f"{HERE}:{name}", paper, higher_is_better=True)
    for name, (summary, paper) in MEASURES.items()
]
