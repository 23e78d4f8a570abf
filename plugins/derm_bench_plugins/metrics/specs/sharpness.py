"""Spec of `sharpness`."""

from __future__ import annotations

from derm_bench.specs import MetricSpec

SPEC = MetricSpec(
    name="sharpness",
    summary="energy above 3/8 cycles per pixel relative to real images: 1 is best, less is blur, more is noise or a "
    "checkerboard",
    create="derm_bench_plugins.metrics.sharpness:sharpness",
    paper="on the spectra of generated images: Durall et al. 2020",
    level="images",
    higher_is_better=None,
    extractor="derm_bench.fidelity.spectrum:extractor",
)
