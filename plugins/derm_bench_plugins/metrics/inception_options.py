"""The options of all metrics on Inception features. Metrics with equal options share the features."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from derm_bench.specs import Options


class InceptionOptions(Options):
    """The location of the weights."""

    weights: Path | None = Field(
        None,
        description="the file weights-inception-2015-12-05-6726825d.pth of torch-fidelity; default: "
        "$DERM_BENCH_INCEPTION, then torch's cache",
    )
