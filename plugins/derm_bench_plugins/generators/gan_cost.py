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


def style_based(options: Mapping[str, Any], side: int) -> float | None:
    """Return the approximate multiply-adds of one image of `side` pixels in G and D of a StyleGAN2 together.

    At each side s, G has a 3x3 to it at half the side and one at the side, and D one at the side and one at half of it:
    2 (9 c^2 s^2 + 9 c c' s^2 / 4), with the channels c at s and c' at s / 2.
    """
    base, widest = options.get("base"), options.get("widest")
    if not isinstance(base, int) or not isinstance(widest, int) or side < 8:
        return None
    work = 0.0
    for k in range(3, side.bit_length()):
        here, below = (float(min(base // 2**j, widest)) for j in (k, k - 1))
        work += 2 * 9 * 4.0**k * here * (here + below / 4)
    return work


def residual(options: Mapping[str, Any], side: int) -> float | None:
    """Return the approximate multiply-adds of one image of `side` pixels in G and D of an R3GAN together.

    A block of c channels takes (2 e c + 9 g e) s^2 at side s, with e = expansion c channels inside and groups of g.
    """
    names = ("base", "widest", "blocks", "expansion", "group_width")
    sizes = [options.get(name) for name in names]
    if not all(isinstance(size, int) for size in sizes) or side < 4:
        return None
    base, widest, blocks, expansion, group = (int(size) for size in sizes if size is not None)
    work = 0.0
    for k in range(2, side.bit_length()):
        width = min(base // 2**k, widest)
        inner = expansion * width
        work += 2 * blocks * 4.0**k * (2.0 * inner * width + 9.0 * min(group, inner) * inner)
    return work


def volumes(options: Mapping[str, Any], side: int) -> float | None:
    """Return the approximate multiply-adds of one pair in G and D of AA-GAN together: the weights of each layer times
    the pixels or voxels that it makes (`aagan_nets`). The side is that of the maps, not that of the images."""
    maps, width = options.get("side"), options.get("width")
    if not isinstance(maps, int) or not isinstance(width, int | float):
        return None
    flat = (5_600 + 3_200, 89_600 + 51_200, 1_433_600 + 3_276_800 + 3 * 7_680_000 + 512_000)
    work = sum(weights * (maps // 2**k) ** 2 for k, weights in enumerate(flat, start=1))
    voxels = 3 * maps // 32 * (maps // 8) ** 2
    deep = (3_456, 55_296, 221_184, 884_736, 3_538_944)
    return float(width**2 * (work + sum(weights * voxels / 8**k for k, weights in enumerate(deep, start=1))))
