"""The features of a network of timm (Wightman 2019) with weights from a file, before its head.

With vision transformers of DINO and DINOv2, Frechet distances on them follow the judgement of people better than FID
does (Stein et al. 2023, "Exposing flaws of generative model evaluation metrics").
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from derm_bench.errors import UserError
from derm_bench.training.precision import full_float32
from derm_bench.training.weights import compare_keys, read_weights, without_prefix
from derm_bench_plugins.metrics.extractors.weights import named
from derm_bench_plugins.metrics.inception_weights import digest

if TYPE_CHECKING:
    from derm_bench_plugins.metrics.extractors.options import FeatureOptions

BATCH = 16


class TimmFeatures:
    """uint8 images [N,3,H,W] -> float64 features [N,D] (NumPy): the pooled output, which the head would classify.

    They are computed in float32 without TF32. Whole images are resized to `side` pixels with antialiasing, by the
    interpolation of the published network and without its crop, and normalised with its mean and deviation. A
    transformer for another side gets its position embeddings interpolated. `name` is
    `timm/<model>@<side>-<interpolation>:<sha256 of the weights file>`. Raises UserError if the weights do not fit,
    or if the network does not take the side.
    """

    def __init__(self, model: str, path: Path, device: str, side: int | None = None) -> None:
        network: Any = timm.create_model(model, pretrained=False, num_classes=0)
        config: Mapping[str, Any] = network.pretrained_cfg
        _load(network, path, config)
        own = int(config["input_size"][-1])
        self.side, self.device = side or own, device
        if self.side != own and config.get("fixed_input_size"):
            _set_side(network, model, self.side)
        self.mode = "bilinear" if config["interpolation"] == "bilinear" else "bicubic"
        self.name = f"timm/{model}@{self.side}-{self.mode}:{digest(path)}"
        self.network = network.float().eval().to(device)
        self.mean, self.std = (
            torch.tensor(config[key], device=device).view(3, 1, 1) for key in ("mean", "std")
        )

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        with full_float32():
            parts = [self._of(part.to(self.device)).double().cpu() for part in images.split(BATCH)]
        return torch.cat(parts).numpy() if parts else np.empty((0, self.network.num_features))

    def _of(self, images: Tensor) -> Tensor:
        size = (self.side, self.side)
        resized = F.interpolate(images.float() / 255, size, mode=self.mode, antialias=True).clamp(0, 1)
        features: Tensor = self.network((resized - self.mean) / self.std)
        return features


def _load(network: Any, path: Path, config: Mapping[str, Any]) -> None:
    """Load the file into the network. Its head is left out; names as the authors of DINO write them are translated."""
    own = network.state_dict()
    heads = config.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else heads
    state = without_prefix(read_weights(path), own)
    state = {k: v for k, v in state.items() if k in own or not k.startswith(tuple(f"{h}." for h in heads))}
    problems = compare_keys(own, state)
    translate = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if problems and translate is not None:
        try:
            state = translate(dict(state), network)
            problems = compare_keys(own, state)
        except (KeyError, RuntimeError, AttributeError, ValueError, TypeError, IndexError, AssertionError):
            pass  # the file is of another network, as `problems` says
    if problems:
        raise UserError(
            f"the weights do not fit {type(network).__name__}: {'; '.join(problems)}",
            file=path,
            hint="the file must hold the state dict of the network that `model` names; its head does not matter",
        )
    network.load_state_dict(state)


def _set_side(network: Any, model: str, side: int) -> None:
    try:
        network.set_input_size(img_size=(side, side))
    except Exception as error:  # networks raise errors of many types for a side that they do not take
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{model} does not take images of {side} px: {reason}") from error


def extractor(options: FeatureOptions, device: str) -> TimmFeatures:
    """Create the extractor. Raises UserError if its weights are missing."""
    assert options.model is not None
    return TimmFeatures(options.model, named(options), device, options.input_size)
