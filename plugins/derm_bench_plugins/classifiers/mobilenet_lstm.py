"""MobileNetV2 + LSTM (Srinivasu et al. 2021, Sensors 21(8) 2852). Paper 001 quotes its accuracy of 85% on HAM10000.

    image [3,S,S] -> MobileNetV2 without its pooling -> map [1280, S/32, S/32]
                  -> its positions in raster order, a sequence of vectors of 1280
                  -> LSTM -> its last state -> dropout -> linear -> K logits

The abstract names the parts: MobileNetV2 features, then an LSTM that "maintains stateful information". The full text
was not available, so the following are choices: the sequence is the positions of the map (49 at 224 px, 4 at 64 px);
the LSTM has a state of 256 numbers, one layer and one direction; and its last state is classified.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import timm
import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.training.module_classifier import ModuleClassifier
from derm_bench.training.weights import load_network, origin_in_memory, origin_of, read_weights
from derm_bench_plugins.classifiers.smallest_size import check_size

if TYPE_CHECKING:
    from derm_bench.specs import Task
    from derm_bench_plugins.classifiers.specs.mobilenet_lstm import MobilenetLstmOptions


def make(options: MobilenetLstmOptions, task: Task) -> ModuleClassifier:
    """Return the classifier. Published weights, or a file of MobileNetV2 weights, initialise only its features."""
    name = f"mobilenetv2_{options.width}"
    features = _features(name, options)
    config = features.pretrained_cfg
    net = MobilenetLstm(features, options.hidden, options.layers, options.dropout, len(task.classes))
    check_size(net, name, task.size)
    origin: dict[str, str] = {}
    if options.weights is not None:
        _load(net, options)
        origin = origin_of(options.weights)
    elif options.pretrained:
        origin = origin_in_memory(f"https://huggingface.co/{config['hf_hub_id']}", features.state_dict())
    half = ((0.5,) * 3, (0.5,) * 3)
    mean, std = (tuple(config["mean"]), tuple(config["std"])) if origin else half
    without_weights = options.model_copy(update={"weights": None})  # already loaded
    made = ModuleClassifier(net, net.head, without_weights, task, mean, std)
    made.weights_from = origin
    return made


class MobilenetLstm(nn.Module):
    """Images [N,3,S,S] -> logits [N,K]. `features` maps images to [N,C,h,w] and has the attribute `num_features`, C."""

    def __init__(self, features: Any, hidden: int, layers: int, dropout: float, classes: int) -> None:
        super().__init__()
        self.features = features
        self.head = LastState(features.num_features, hidden, layers, dropout, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.head(self.features(images).flatten(2).transpose(1, 2)))


class LastState(nn.Module):
    """Sequences [N,T,C] -> logits [N,K], computed from the LSTM's state after the last element."""

    def __init__(self, channels: int, hidden: int, layers: int, dropout: float, classes: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, hidden, layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden, classes)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(sequences)
        return torch.as_tensor(self.linear(self.dropout(states[:, -1])))


def _features(name: str, options: MobilenetLstmOptions) -> Any:
    published = options.pretrained and options.weights is None  # a file takes their place
    try:
        return timm.create_model(name, pretrained=published, num_classes=0, global_pool="")
    except Exception as error:  # timm and its downloads raise errors of many types
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        hint = (
            "without internet access, set weights: PATH to a file of the weights"
            if options.pretrained
            else ""
        )
        raise UserError(f"timm cannot make {name}: {reason}", hint=hint) from error


def _load(net: MobilenetLstm, options: MobilenetLstmOptions) -> None:
    """Load a file of this whole network, or a file of MobileNetV2, without the classifier of the latter."""
    assert options.weights is not None
    whole = any("head.lstm." in key for key in read_weights(options.weights))
    if whole:
        load_network(net, net.head, options.weights)
    else:
        load_network(net.features, None, options.weights, unused=("classifier.",))
