"""The options of the Inception score, which is defined on the Inception network alone."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from derm_bench.specs import Options


class InceptionOptions(Options):
    """The location of the weights, and the parts of which the score is the mean."""

    weights: Path | None = Field(
        None,
        description="the file weights-inception-2015-12-05-6726825d.pth of torch-fidelity; default: "
        "$DERM_BENCH_INCEPTION, then torch's cache",
    )
    splits: int = Field(
        10, ge=1, le=100, description="parts of which the score is the mean; published scores use 10"
    )
