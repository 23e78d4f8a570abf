"""bfloat16 training computed in float32, for processors on which bfloat16 itself is fifteen times slower.

`Rounded` replaces `torch.autocast(..., torch.bfloat16)` around a forward pass. It rounds what autocast rounds: the
factors and the results of convolutions and linear layers, the results of what follows them, and in the backward pass
all of their gradients. Sums within an operation are in float32 on both ways. Weights and their updates stay float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

FACTORS = {"conv2d", "conv_transpose2d", "linear"}
"""Autocast rounds the arguments of these."""
FOLLOWING = {
    "batch_norm",
    "relu",
    "relu_",
    "leaky_relu",
    "leaky_relu_",
    "tanh",
    "sigmoid",
    "avg_pool2d",
    "interpolate",
}
"""These get rounded arguments, and their results have the same type."""


class Rounded(TorchFunctionMode):
    """The context of a forward pass."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        if name in FACTORS:
            args = tuple(_rounded(x) if isinstance(x, torch.Tensor) else x for x in args)
            kwargs = {k: _rounded(x) if isinstance(x, torch.Tensor) else x for k, x in kwargs.items()}
        out = func(*args, **kwargs)
        if name in FACTORS | FOLLOWING:
            out = _Round.apply(out) if out.dtype == torch.float32 else out  # type: ignore[no-untyped-call]
            out.rounded = True  # and its gradient, too: not again at the next layer
        return out


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.bfloat16().float()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        return _Round.apply(grad)  # type: ignore[no-untyped-call,no-any-return]


def _rounded(x: torch.Tensor) -> torch.Tensor:
    if x.dtype != torch.float32 or getattr(x, "rounded", False):
        return x
    return _Round.apply(x)  # type: ignore[no-untyped-call,no-any-return]
