"""Classifiers of timm (Wightman 2019) by name: with published weights, with weights from a file, or untrained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import timm
from torch import nn

from derm_bench.errors import UserError
from derm_bench.training.module_classifier import ModuleClassifier
from derm_bench.training.weights import origin_in_memory
from derm_bench_plugins.classifiers.sla import SlaClassifier
from derm_bench_plugins.classifiers.smallest_size import check_size

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.classifiers.specs.timm import TimmOptions


def make(options: TimmOptions, task: Task) -> ModuleClassifier:
    """Return the network with a new head for `task.classes`. Given weights, images are normalised with their mean and
    std.

    Raises UserError if the tag does not exist, the weights cannot be fetched, or the side is too small for the strides
    of the network.
    """
    net = _create(options, task)
    config = net.pretrained_cfg
    origin = origin_in_memory(_source(config), _without_head(net)) if _published(options) else {}
    if options.small_head:
        _shrink_head(net, len(task.classes))
    check_size(net, options.model, task.size)
    own = options.pretrained or options.weights is not None
    mean, std = (config["mean"], config["std"]) if own else ((0.5,) * 3, (0.5,) * 3)
    kind = SlaClassifier if options.metric_loss == "sla" else ModuleClassifier
    unused = ("pre_logits.",) if options.small_head else ()
    made = kind(net, net.get_classifier(), options, task, tuple(mean), tuple(std), unused)
    made.weights_from = made.weights_from or origin
    return made


def _create(options: TimmOptions, task: Task) -> Any:
    extra: dict[str, Any] = {"drop_rate": options.dropout} if options.dropout else {}
    try:
        if _fixed_size(options.model):
            extra["img_size"] = task.size
        return timm.create_model(
            options.model, pretrained=_published(options), in_chans=3, num_classes=len(task.classes), **extra
        )
    except Exception as error:  # timm, its downloads and its networks raise errors of many types
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        hint = (
            "without internet access, set weights: PATH to a file of the weights"
            if options.pretrained
            else ""
        )
        raise UserError(f"timm cannot make {options.model} at {task.size} px: {reason}", hint=hint) from error


def _published(options: TimmOptions) -> bool:
    """Return whether to fetch published weights. A file takes their place, with or without a network."""
    return options.pretrained and options.weights is None


def _fixed_size(model: str) -> bool:
    """Return whether the network is built for one side (position embeddings), which must be passed to timm."""
    config = timm.models.get_pretrained_cfg(model)
    return bool(config is not None and config.fixed_input_size)


def _source(config: Any) -> str:
    """Return the address from which timm fetches the published weights."""
    hub = config.get("hf_hub_id")
    return f"https://huggingface.co/{hub}" if hub else str(config.get("url", ""))


def _without_head(net: Any) -> dict[str, Any]:
    """Return the part of the state that published weights initialise: all but the head, which is new."""
    head = next((name for name, module in net.named_modules() if module is net.get_classifier()), "")
    return {key: value for key, value in net.state_dict().items() if not key.startswith(f"{head}.")}


def _shrink_head(net: Any, classes: int) -> None:
    """Replace VGG's hidden layers with global average pooling and one linear layer."""
    net.pre_logits = nn.Identity()
    net.head.fc = nn.Linear(net.num_features, classes)
