"""Metrics of images: on the split's own reference network, and on Inception where its weights are."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from derm_bench.specs import MetricSpec, Options


class InceptionOptions(Options):
    """Options of the metrics on Inception features; metrics with the same options share the features."""

    weights: Path | None = Field(
        None,
        description="the file weights-inception-2015-12-05-6726825d.pth of torch-fidelity; default "
        "$DERM_BENCH_INCEPTION, then torch's own cache",
    )


HERE = "derm_bench_plugins.metrics"


def specs() -> list[MetricSpec]:
    """The metrics of this package."""
    return [
        _domain("fd_domain", "Frechet distance on the reference network", "Heusel et al. 2017, eq. 6"),
        _domain("kid_domain", "kernel distance on the reference network", "Binkowski et al. 2018"),
        _inception(
            "fid",
            "Frechet Inception distance; biased upwards for small n, compare equal n only",
            f"{HERE}.distances:fid",
            "Heusel et al. 2017, eq. 6",
        ),
        _inception(
            "kid",
            "kernel Inception distance, unbiased over all images",
            f"{HERE}.distances:kid",
            "Binkowski et al. 2018",
        ),
        _inception(
            "inception_score",
            "Inception score of the synthetic images alone, 10 splits; says little about skin",
            f"{HERE}.inception:inception_score",
            "Salimans et al. 2016, eq. 1",
            higher_is_better=True,
        ),
    ]


def _domain(name: str, summary: str, paper: str) -> MetricSpec:
    return MetricSpec(
        name=name,
        summary=summary,
        create=f"{HERE}.distances:{name}",
        paper=f"{paper}, on other features",
        level="images",
        higher_is_better=False,
        extractor="domain",
    )


def _inception(
    name: str, summary: str, create: str, paper: str, higher_is_better: bool = False
) -> MetricSpec:
    return MetricSpec(
        name=name,
        summary=summary,
        create=create,
        paper=paper,
        options=InceptionOptions,
        preflight=f"{HERE}.inception_weights:preflight",
        depends_on=f"{HERE}.inception_weights:used_weights",
        level="images",
        higher_is_better=higher_is_better,
        extractor=f"{HERE}.inception:extractor",
    )
