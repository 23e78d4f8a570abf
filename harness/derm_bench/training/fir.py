"""Resampling by a factor of two with a low-pass filter, as in StyleGAN2 (Karras et al. 2020, section 4.2 and the
authors' code): a separable filter [1,3,3,1] / 8, whose aliasing is less than that of nearest neighbours or of a mean.

The filter runs as a depthwise convolution, so that all of it can be differentiated twice.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

TAPS = (1.0, 3.0, 3.0, 1.0)


def blur(x: torch.Tensor, padding: tuple[int, int], gain: float = 1.0, stride: int = 1) -> torch.Tensor:
    """Filter features [N,C,H,W], padded with zeros by `padding` (before, after) along both axes, and keep every
    `stride`-th pixel."""
    taps = torch.tensor(TAPS, dtype=x.dtype, device=x.device)
    kernel = torch.outer(taps, taps) * (gain / sum(TAPS) ** 2)
    before, after = padding
    padded = F.pad(x, (before, after, before, after))
    return F.conv2d(padded, kernel.expand(x.shape[1], 1, -1, -1), stride=stride, groups=x.shape[1])


def upsample(x: torch.Tensor) -> torch.Tensor:
    """[N,C,H,W] -> [N,C,2H,2W]: zeros are put between the pixels, and the result is filtered with gain 4."""
    n, c, height, width = x.shape
    spread = F.pad(x.reshape(n, c, height, 1, width, 1), (0, 1, 0, 0, 0, 1))
    return blur(spread.reshape(n, c, 2 * height, 2 * width), (2, 1), gain=4.0)


def downsample(x: torch.Tensor) -> torch.Tensor:
    """[N,C,2H,2W] -> [N,C,H,W], filtered."""
    return blur(x, (1, 1), stride=2)


def conv_up(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Upsample features [N,C,H,W] and convolve them with `weight` [D,C,3,3]: [N,D,2H,2W]. Equal, but for the border, to
    `upsample` and a true convolution (with the kernel turned around), at a quarter of the work."""
    spread = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    return blur(spread, (1, 1), gain=4.0)


def conv_down(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Convolve features [N,C,2H,2W] with `weight` [D,C,3,3] after the filter and keep every second pixel: [N,D,H,W]."""
    return F.conv2d(blur(x, (2, 2)), weight, stride=2)
