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

# Of neighbourhoods, k = 5: name -> summary, paper.
NEIGHBOURS = {
    "density": (
        "how densely synthetic images lie where real ones are; about 1 for real ones",
        "Naeem et al. 2020",
    ),
    "coverage": ("share of real images with a synthetic one in their neighbourhood", "Naeem et al. 2020"),
    "prdc_precision": ("share of synthetic images within the real ones", "Kynkaanniemi et al. 2019"),
    "prdc_recall": ("share of real images within the synthetic ones", "Kynkaanniemi et al. 2019"),
}


def specs() -> list[MetricSpec]:
    """The metrics of this package."""
    return [
        _domain("fd_domain", "Frechet distance on the reference network", "Heusel et al. 2017, eq. 6"),
        _domain("kid_domain", "kernel distance on the reference network", "Binkowski et al. 2018"),
        *[
            _domain(
                f"{name}_domain",
                f"{summary}, on the reference network",
                paper,
                f"{HERE}.neighbours:{name}_domain",
            )
            for name, (summary, paper) in NEIGHBOURS.items()
            if name in ("density", "coverage")
        ],
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
        *[
            _inception(name, summary, f"{HERE}.neighbours:{name}", paper, higher_is_better=True)
            for name, (summary, paper) in NEIGHBOURS.items()
        ],
    ]


def _domain(name: str, summary: str, paper: str, create: str = "") -> MetricSpec:
    """A distance, unless `create` names something else, which is better when higher."""
    return MetricSpec(
        name=name,
        summary=summary,
        create=create or f"{HERE}.distances:{name}",
        paper=f"{paper}, on other features",
        level="images",
        higher_is_better=bool(create),
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
