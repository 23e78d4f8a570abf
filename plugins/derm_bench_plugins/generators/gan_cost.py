"""Multiply-adds of convolutional GANs, for forecasts. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def adversarial(options: Mapping[str, Any], side: int) -> float | None:
    """Return the approximate multiply-adds of one image of `side` pixels in G and D together; None without `base`.

    In a DCGAN (Radford et al. 2016) a layer of kernel 4 has twice the channels and half the side of the layer before,
    so that each of the log2(side) - 3 layers takes 2 base^2 side^2. D and G are mirror images of each other.
    """
    base = options.get("base")
    if not isinstance(base, int) or side < 1:
        return None
    return 4.0 * base**2 * side**2 * max(1.0, math.log2(side) - 3)
