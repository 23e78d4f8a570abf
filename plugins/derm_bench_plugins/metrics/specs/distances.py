"""Specs of the distances of features: mmd_domain, fd_domain, kid_domain, fid, kid."""

from __future__ import annotations

from derm_bench_plugins.metrics.specs.features import on_domain, on_inception

HERE = "derm_bench_plugins.metrics.distances"

DOMAIN = [
    on_domain(
        "mmd_domain",
        "distance of synthetic from real images on the reference networks, bounded: 0 for equal distributions",
        f"{HERE}:mmd_domain",
        "Gretton et al. 2012, eq. 3",
        higher_is_better=False,
    ),
    on_domain(
        "fd_domain",
        "Frechet distance on the reference networks; unbounded, so that a few outliers decide it",
        f"{HERE}:fd_domain",
        "Heusel et al. 2017, eq. 6",
        higher_is_better=False,
    ),
    on_domain(
        "kid_domain",
        "kernel distance on the reference networks; unbounded, as fd_domain",
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
