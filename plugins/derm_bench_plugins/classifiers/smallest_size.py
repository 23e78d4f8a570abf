"""Checks whether a network accepts images of a given side, and finds the smallest side that it accepts."""

from __future__ import annotations

import torch
from torch import nn

from derm_bench.errors import UserError

LARGEST = 512  # px; the search for the smallest side that works ends here


def check_size(net: nn.Module, model: str, size: int) -> None:
    """Raise UserError if `net` fails on images of `size` px. The message names the smallest side that works."""
    problem = _problem(net, size)
    if not problem:
        return
    smallest = _smallest(net, size)
    if smallest is None:
        raise UserError(f"{model} fails on images of {size} px: {problem}")
    raise UserError(
        f"{model} needs images of at least {smallest} px; these have {size}",
        hint=f"set input_size: {smallest} or more; images are resized to it",
    )


def _smallest(net: nn.Module, size: int) -> int | None:
    """Return the smallest side above `size` that works, found by doubling and then bisection; None if no side up
    to 512 px works."""
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
    """Return the message of the error at this side, or an empty string.

    The network runs in eval mode, which draws no random numbers and changes no statistics.
    """
    net.eval()
    try:
        net(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError, ZeroDivisionError) as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return ""
