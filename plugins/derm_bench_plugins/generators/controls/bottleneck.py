"""Control `bottleneck`: real training images drawn again, down to a side and back: what that resolution costs."""

from __future__ import annotations

from derm_bench_plugins.generators.controls.real_images import RealImages


class Bottleneck(RealImages):
    """Training images, unchanged here. The harness resizes them to the option `size` before the fit, and samples back
    to the stored size, as it does for every generator: the loss is the one that a generator of that size has."""
