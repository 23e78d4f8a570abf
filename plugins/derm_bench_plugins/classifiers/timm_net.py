"""Classifiers of timm (Wightman 2019) by name, with published weights, a file of the user's or none."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.specs import Task
from derm_bench.training.module_plugin import ModuleClassifier
from derm_bench_plugins.classifiers.specs.timm import TimmOptions

LARGEST = 512  # px; up to here the smallest side that works is searched


def make(options: TimmOptions, task: Task) -> ModuleClassifier:
    """The network with a new head of `task.classes`. Weights bring their own mean and std.

    Raises UserError: no such tag, weights that cannot be had, or a side too small for the network's strides.
    """
    net = _create(options, task)
    _check_size(net, options.model, task.size)
    config = net.pretrained_cfg
    own = options.pretrained or options.weights is not None
    mean, std = (config["mean"], config["std"]) if own else ((0.5,) * 3, (0.5,) * 3)
    return ModuleClassifier(net, net.get_classifier(), options, task, tuple(mean), tuple(std))


def _create(options: TimmOptions, task: Task) -> Any:
    extra: dict[str, Any] = {"drop_rate": options.dropout} if options.dropout else {}
    try:
        if _fixed_size(options.model):
            extra["img_size"] = task.size
        return timm.create_model(
            options.model, pretrained=options.pretrained, in_chans=3, num_classes=len(task.classes), **extra
        )
    except Exception as error:  # timm, its downloads and its networks each raise their own kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        hint = "without a network, give a file of them as weights: PATH" if options.pretrained else ""
        raise UserError(f"timm cannot make {options.model} at {task.size} px: {reason}", hint=hint) from error


def _fixed_size(model: str) -> bool:
    """Whether the network is built for one side (position embeddings) and must be told which."""
    config = timm.models.get_pretrained_cfg(model)
    return bool(config is not None and config.fixed_input_size)


def _check_size(net: nn.Module, model: str, size: int) -> None:
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
    """What goes wrong at this side; empty if nothing. In eval mode nothing is drawn or moved."""
    net.eval()
    try:
        net(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError, ZeroDivisionError) as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return ""
