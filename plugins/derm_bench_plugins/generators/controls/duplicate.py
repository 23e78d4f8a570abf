"""Control `duplicate`: real training images, drawn again. It shows the effect of more updates on the same images."""

from __future__ import annotations

from derm_bench_plugins.generators.controls.real_images import RealImages


class Duplicate(RealImages):
    """Training images of the class, unchanged. With the option `size`, they are resized to it, as in `bottleneck`."""
