"""sharpness_gap, a metric of images for derm-bench: its name and options. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from derm_bench.api import MetricSpec, Options, hookimpl

DERM_BENCH_API = 1


class SharpnessOptions(Options):
    """Metrics with the same extractor and equal options share its features."""

    scales: int = Field(3, ge=1, le=6, description="sharpness at full, half, quarter ... resolution")


@hookimpl
def derm_bench_metrics() -> list[MetricSpec]:
    return [
        MetricSpec(
            name="sharpness_gap",
            summary="how far synthetic images are blurrier, or noisier, than real ones: in octaves of edge energy",
            paper="Pech-Pacheco et al. 2000, variance of the Laplacian",
            create="derm_bench_sharpness.score:SharpnessGap",
            options=SharpnessOptions,
            level="images",
            higher_is_better=False,
            extractor="derm_bench_sharpness.score:Sharpness",
        )
    ]
