"""Specs of the Frechet and kernel distances: fd_domain, kid_domain, fid, kid."""

from __future__ import annotations

from derm_bench_plugins.metrics.specs.features import on_domain, on_inception

HERE = "derm_bench_plugins.metrics.distances"

DOMAIN = [
    on_domain(
        "fd_domain",
        "Frechet distance on the reference network",
        f"{HERE}:fd_domain",
        "Heusel et al. 2017, eq. 6",
        higher_is_better=False,
    ),
    on_domain(
        "kid_domain",
        "kernel distance on the reference network",
        f"{HERE}:kid_domain",
        "Binkowski et al. 2018",
        higher_is_better=False,
    ),
]
INCEPTION = [
    on_inception(
        "fid",
        "Frechet Inception distance; biased upwards for small n, so compare only equal n",
        f"{HERE}:fid",
        "Heusel et al. 2017, eq. 6",
        higher_is_better=False,
    ),
    on_inception(
        "kid",
        "kernel Inception distance, unbiased over all images",
        f"{HERE}:kid",
        "Binkowski et al. 2018",
        higher_is_better=False,
    ),
]
