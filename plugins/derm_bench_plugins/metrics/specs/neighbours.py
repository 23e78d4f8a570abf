"""Specs of the nearest-neighbour metrics (k = 5): density, coverage, precision and recall."""

from __future__ import annotations

from derm_bench_plugins.metrics.specs.features import on_domain, on_inception

HERE = "derm_bench_plugins.metrics.neighbours"

# name -> summary, paper
MEASURES = {
    "density": (
        "density of synthetic images in the neighbourhoods of real images; about 1 for real images",
        "Naeem et al. 2020",
    ),
    "coverage": (
        "fraction of real images with a synthetic image in their neighbourhood",
        "Naeem et al. 2020",
    ),
    "prdc_precision": (
        "fraction of synthetic images in a neighbourhood of real images",
        "Kynkaanniemi et al. 2019",
    ),
    "prdc_recall": (
        "fraction of real images in a neighbourhood of synthetic images",
        "Kynkaanniemi et al. 2019",
    ),
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
