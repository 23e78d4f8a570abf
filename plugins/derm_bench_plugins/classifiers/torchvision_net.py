"""Classification networks of torchvision by name, untrained or with weights from a file.

They include AlexNet and GoogLeNet ("InceptionNet" of paper 000), which timm does not have. Auxiliary heads are left
out, and their weights in published files are not loaded. GoogLeNet and Inception v3 were trained on pixels in [-1,1]:
given published weights, torchvision converts ImageNet-normalised pixels to that range inside the network. Here the
pixels are normalised with mean and std 0.5 instead, which gives the same input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models

from derm_bench.errors import UserError
from derm_bench.training.module_classifier import ModuleClassifier
from derm_bench_plugins.classifiers.smallest_size import check_size
from derm_bench_plugins.classifiers.torchvision_names import published

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.classifiers.specs.torchvision import TorchvisionOptions

HALF = ((0.5,) * 3, (0.5,) * 3)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
WITH_AUXILIARY = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}


def make(options: TorchvisionOptions, task: Task) -> ModuleClassifier:
    """Return the network with a head for `task.classes`. Given weights, images are normalised with ImageNet's mean and
    std.

    Raises UserError if the side is too small, or if the weights do not fit or, with `pretrained`, are not the published
    ones.
    """
    net = _create(options.model, task)
    check_size(net, options.model, task.size)
    head = _head(net, len(task.classes))
    if options.dropout:
        _drop_before(head, options.dropout)
    auxiliary = WITH_AUXILIARY.get(options.model, ())
    mean, std = IMAGENET if options.weights and not auxiliary else HALF
    made = ModuleClassifier(net, head, options, task, mean, std, unused=auxiliary)
    _name_source(made, options)
    return made


def headless(model: str, task: Task) -> tuple[nn.Module, int]:
    """Return a network whose last layer is the identity, and the number of features [N,width] that it then returns."""
    net = _create(model, task)
    head = _head(net, len(task.classes))
    assert isinstance(head, nn.Linear | nn.Conv2d)
    width = head.in_features if isinstance(head, nn.Linear) else head.in_channels
    (name,) = (name for name, module in net.named_modules() if module is head)
    net.set_submodule(name, nn.Identity())
    return net, width


def _create(model: str, task: Task) -> nn.Module:
    extra: dict[str, Any] = {}
    if model in WITH_AUXILIARY:
        extra = {"aux_logits": False, "transform_input": False, "init_weights": True}
    elif model.startswith("vit_"):
        extra = {"image_size": task.size}
    elif model.startswith("maxvit"):
        extra = {"input_size": (task.size, task.size)}
    try:
        net: nn.Module = models.get_model(model, weights=None, num_classes=len(task.classes), **extra)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"torchvision cannot make {model} at {task.size} px: {reason}") from error
    return net


def _head(net: nn.Module, classes: int) -> nn.Module:
    """Return the layer that computes the logits: the last linear layer or, in SqueezeNet, the last convolution."""
    *_, last = (m for m in net.modules() if isinstance(m, (nn.Linear, nn.Conv2d)))
    outputs = last.out_features if isinstance(last, nn.Linear) else last.out_channels
    if outputs != classes:
        raise UserError(
            f"the head of {type(net).__name__} is not its last layer; this network is not supported"
        )
    return last


def _drop_before(head: nn.Module, share: float) -> None:
    def drop(module: nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (F.dropout(given[0], share, module.training), *given[1:])

    head.register_forward_pre_hook(drop)


def _name_source(made: ModuleClassifier, options: TorchvisionOptions) -> None:
    """Add to `weights_from` which published file the weights are. With `pretrained`, they must be a published file."""
    if options.weights is None:
        return
    files = published(options.model)
    source = next((f for f in files if made.weights_from["sha256"].startswith(f.digest)), None)
    if source is not None:
        made.weights_from |= {"source": source.url, "name": source.name}
    elif options.pretrained:
        raise UserError(
            f"the file is not one that torchvision published for {options.model}: its SHA-256 begins with "
            f"{made.weights_from['sha256'][:8]}, not with {' or '.join(f.digest for f in files)}",
            file=options.weights.absolute(),
            hint="write pretrained: false for weights of your own",
        )
