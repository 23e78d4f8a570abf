"""Resampling by a factor of two with a low-pass filter, as in StyleGAN2 (Karras et al. 2020, section 4.2 and the
authors' code): a separable filter [1,3,3,1] / 8, whose aliasing is less than that of nearest neighbours or of a mean.

The filter runs as a depthwise convolution. Its gradient is the same filter, and is defined here, since torch computes
the second gradient of a depthwise convolution channel by channel. Under autocast it keeps the dtype of its input.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from derm_bench.training.constants import constant

TAPS = (1.0, 3.0, 3.0, 1.0)
Padding = tuple[int, int]


def blur(x: torch.Tensor, padding: Padding, gain: float = 1.0, stride: int = 1) -> torch.Tensor:
    """Filter features [N,C,H,W], padded with zeros by `padding` (before, after) along both axes, and keep every
    `stride`-th pixel. A stride of 2 needs an even side and a padding of (1, 1)."""
    filtered: torch.Tensor = _Filtered.apply(x, padding, gain, stride)  # type: ignore[no-untyped-call]
    return filtered


def upsample(x: torch.Tensor) -> torch.Tensor:
    """[N,C,H,W] -> [N,C,2H,2W]: zeros are put between the pixels, and the result is filtered with gain 4."""
    larger: torch.Tensor = _Adjoint.apply(x, (1, 1), 4.0, 2)  # type: ignore[no-untyped-call]
    return larger


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


class _Filtered(torch.autograd.Function):
    """The filter; its gradient is its adjoint."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, padding: Padding, gain: float, stride: int) -> torch.Tensor:
        ctx.settings = padding, gain, stride
        return _filter(x, padding, gain, stride)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        return _Adjoint.apply(gradient, *ctx.settings), None, None, None  # type: ignore[no-untyped-call]


class _Adjoint(torch.autograd.Function):
    """The adjoint of the filter; its gradient is the filter."""

    @staticmethod
    def forward(ctx: Any, y: torch.Tensor, padding: Padding, gain: float, stride: int) -> torch.Tensor:
        ctx.settings = padding, gain, stride
        if stride == 1:  # the filter is symmetric
            return _filter(y, (3 - padding[0], 3 - padding[1]), gain, 1)
        return _filter(_spread(y), (2, 1), gain, 1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        return _Filtered.apply(gradient, *ctx.settings), None, None, None  # type: ignore[no-untyped-call]


def _filter(x: torch.Tensor, padding: Padding, gain: float, stride: int) -> torch.Tensor:
    before, after = padding
    if x.is_cuda:
        return filtered_along_axes(x, padding, gain, stride)
    with torch.autocast(x.device.type, enabled=False):
        padded = F.pad(x, (before, after, before, after))
        return F.conv2d(padded, _kernel(x, gain), stride=stride, groups=x.shape[1])


def filtered_along_axes(x: torch.Tensor, padding: Padding, gain: float, stride: int) -> torch.Tensor:
    """The filter of features [N,C,H,W] as sums of shifted images along one axis after the other, computed in float32 at
    least. It is for GPUs, where memory is the limit: with depthwise convolutions, an update of StyleGAN2 at 64 px took
    a quarter of a second on an H200."""
    wide = x if x.dtype == torch.float64 else x.float()
    for axis, pads in ((3, (*padding, 0, 0)), (2, (0, 0, *padding))):
        padded = F.pad(wide, pads)
        shifted = [padded.narrow(axis, k, padded.shape[axis] - 3) for k in range(4)]
        if stride > 1:
            every = (slice(None),) * axis + (slice(None, None, stride),)
            shifted = [one[every] for one in shifted]
        ends, middle = shifted[0] + shifted[3], shifted[1] + shifted[2]
        wide = torch.add(ends, middle, alpha=3.0) * (gain**0.5 / sum(TAPS))
    return wide.to(x.dtype)


def _spread(x: torch.Tensor) -> torch.Tensor:
    """Put zeros between the pixels: [N,C,H,W] -> [N,C,2H,2W], in the memory format of x."""
    n, c, height, width = x.shape
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    form = torch.channels_last if last else torch.contiguous_format
    wide = torch.empty(
        (n, c, 2 * height, 2 * width), dtype=x.dtype, device=x.device, memory_format=form
    ).zero_()
    wide[:, :, ::2, ::2] = x
    return wide


def _kernel(x: torch.Tensor, gain: float) -> torch.Tensor:
    taps = constant(TAPS, x.device, x.dtype)
    return (torch.outer(taps, taps) * (gain / sum(TAPS) ** 2)).expand(x.shape[1], 1, -1, -1)
