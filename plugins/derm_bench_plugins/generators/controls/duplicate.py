"""Control `duplicate`: real training images drawn again, which shows what more updates on the same images do."""

from __future__ import annotations

from derm_bench_plugins.generators.controls.real_images import RealImages


class Duplicate(RealImages):
    """Training images of the class, unchanged. With a `size` of its own they go through it, as in `bottleneck`."""
