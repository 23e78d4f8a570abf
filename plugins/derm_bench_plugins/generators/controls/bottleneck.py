"""Control `bottleneck`: real training images, resized to a smaller side and back. It shows the cost of that
resolution."""

from __future__ import annotations

from derm_bench_plugins.generators.controls.real_images import RealImages


class Bottleneck(RealImages):
    """Training images, unchanged by this class.

    As for every generator, the harness resizes them to the option `size` before the fit, and resizes samples to the
    stored size. The loss of detail is therefore that of a generator of that size.
    """
