"""Specs of the distances of features: mmd_domain, fd_domain, kid_domain, fid, kid, fd_infinity."""

from __future__ import annotations

from derm_bench_plugins.metrics.extractors.options import ExtrapolationOptions, FeatureOptions, FrechetOptions
from derm_bench_plugins.metrics.specs.features import on_domain, on_network

HERE = "derm_bench_plugins.metrics"

DOMAIN = [
    on_domain(
        "mmd_domain",
        "distance of synthetic from real images on the reference networks, bounded: 0 for equal distributions",
        f"{HERE}.domain:mmd_domain",
        "Gretton et al. 2012, eq. 3",
        higher_is_better=False,
    ),
    on_domain(
        "fd_domain",
        "Frechet distance on the reference networks; unbounded, so that a few outliers decide it",
        f"{HERE}.domain:fd_domain",
        "Heusel et al. 2017, eq. 6",
        higher_is_better=False,
    ),
    on_domain(
        "kid_domain",
        "kernel distance on the reference networks; unbounded, as fd_domain",
        f"{HERE}.domain:kid_domain",
        "Binkowski et al. 2018",
        higher_is_better=False,
    ),
]
ON_NETWORKS = [
    on_network(
        "fid",
        "Frechet Inception distance; biased upwards for small n, so compare only equal n",
        f"{HERE}.distances:fid",
        "Heusel et al. 2017, eq. 6",
        options=FrechetOptions,
        higher_is_better=False,
    ),
    on_network(
        "kid",
        "kernel Inception distance, unbiased over all images",
        f"{HERE}.distances:kid",
        "Binkowski et al. 2018",
        options=FeatureOptions,
        higher_is_better=False,
    ),
    on_network(
        "fd_infinity",
        "Frechet Inception distance extrapolated to infinitely many images, for 500 or more",
        f"{HERE}.extrapolated:fd_infinity",
        "Chong and Forsyth 2020",
        options=ExtrapolationOptions,
        higher_is_better=False,
    ),
]
