"""Whether a network takes images of a given side, and the smallest side that it takes."""

from __future__ import annotations

import torch
from torch import nn

from derm_bench.errors import UserError

LARGEST = 512  # px; the smallest side that works is searched up to here


def check_size(net: nn.Module, model: str, size: int) -> None:
    """Raises UserError where `net` fails on images of `size` px, naming the smallest that work."""
    problem = _problem(net, size)
    if not problem:
        return
    smallest = _smallest(net, size)
    if smallest is None:
        raise UserError(f"{model} fails on images of {size} px: {problem}")
    raise UserError(
        f"{model} needs images of at least {smallest} px; these have {size}",
        hint=f"set input_size: {smallest} or more; images are resized on the way in",
    )


def _smallest(net: nn.Module, size: int) -> int | None:
    """The smallest side above `size` that works, by doubling, then bisection; None if none to 512 px does."""
    low, high = size, 2 * size
    while _problem(net, high):
        if high > LARGEST:
            return None
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _problem(net, middle) else (low, middle)
    return high


@torch.inference_mode()
def _problem(net: nn.Module, size: int) -> str:
    """The error at this side; empty if there is none. In eval mode, which draws no random numbers and changes no
    statistics."""
    net.eval()
    try:
        net(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError, ZeroDivisionError) as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return ""
