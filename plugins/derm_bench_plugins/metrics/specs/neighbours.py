"""Specs of the nearest-neighbour metrics: density, coverage, precision and recall, and two-sample accuracy."""

from __future__ import annotations

from derm_bench_plugins.metrics.extractors.options import NeighbourOptions
from derm_bench_plugins.metrics.specs.features import on_domain, on_network

HERE = "derm_bench_plugins.metrics"

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
        f"{summary}, on the reference networks",
        f"{HERE}.domain:{name}_domain",
        paper,
        higher_is_better=True,
    )
    for name, (summary, paper) in MEASURES.items()
    if name in ("density", "coverage")
]
DOMAIN.append(
    on_domain(
        "nn_accuracy_domain",
        "how often a nearest neighbour tells synthetic from real images, on the reference networks; 0.5 is best, less "
        "points to copies",
        f"{HERE}.domain:nn_accuracy_domain",
        "Lopez-Paz and Oquab 2017",
        higher_is_better=False,
    )
)
ON_NETWORKS = [
    on_network(
        name, summary, f"{HERE}.neighbours:{name}", paper, options=NeighbourOptions, higher_is_better=True
    )
    for name, (summary, paper) in MEASURES.items()
]
