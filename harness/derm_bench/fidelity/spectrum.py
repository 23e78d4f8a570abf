"""The extractor `spectrum`, and sharpness: fine structure of images, which no network is needed for.

A checkerboard of transposed convolutions, noise, and the blocks of strong JPEG compression have more energy at high
frequencies than real images; blur has less.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from derm_bench.fidelity.distances import GROUPS, Floats, Interval, deal, jackknife, require_sides

CUT = 3 / 8
"""The lowest frequency that counts as fine, in cycles per pixel; 1/2 is the highest along an axis."""

ROUNDING = 1e-20
"""Energy below this, far below that of one grey level in one pixel, is attributed to rounding and counts as 0."""


class Spectrum:
    """uint8 images [N,3,S,S] -> float64 [N,1]: the energy above 3/8 cycles per pixel, under a Hann window, per pixel
    and channel, of intensities in [0,1]."""

    name = "spectrum"

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    @torch.inference_mode()
    def __call__(self, images: torch.Tensor) -> NDArray[np.float64]:
        if not len(images):
            return np.empty((0, 1))
        rows, columns = images.shape[-2:]
        window = _hann(rows)[:, None] * _hann(columns)
        radius = (torch.fft.fftfreq(rows)[:, None].square() + torch.fft.fftfreq(columns).square()).sqrt()
        pixels = images.to(self.device).double() / 255
        pixels = (pixels - pixels.mean((2, 3), keepdim=True)) * window.to(self.device)
        energy = torch.fft.fft2(pixels, norm="ortho").abs().square()
        fine = energy[..., (radius > CUT).to(self.device)].sum((1, 2)) / (3 * rows * columns)
        return torch.where(fine < ROUNDING, 0.0, fine)[:, None].cpu().numpy()


def _hann(side: int) -> torch.Tensor:
    return torch.hann_window(side, periodic=False, dtype=torch.float64)


def extractor(options: Any, device: str) -> Spectrum:
    """Create the extractor of `sharpness`."""
    return Spectrum(device)


def sharpness(real: Floats, fake: Floats, groups: int = GROUPS) -> Interval:
    """Return the mean energy of synthetic images relative to that of real ones, from the features of `Spectrum`.

    It is 1 for real images, less for blurred ones, more for noise and checkerboards, and NaN if real images have none.
    `groups=0` omits the interval. Raises ValueError for fewer than two images per side.
    """
    require_sides(real, fake)

    def value(rows: NDArray[Any], columns: NDArray[Any]) -> float:
        energy = float(real[rows].mean())
        return float(fake[columns].mean()) / energy if energy > 0 else math.nan

    dealt = deal(len(real), len(fake), groups)
    every = np.arange(len(real)), np.arange(len(fake))
    whole = value(*every)
    left = [value(*(np.delete(side, gone) for side, gone in zip(every, pair, strict=True))) for pair in dealt]
    low, high = jackknife(whole, left)
    return Interval(whole, float(np.maximum(low, 0.0)), high)
