"""The features of VGG16 (Simonyan and Zisserman 2015) that torch-fidelity computes: 4096 units of its second layer.

Kynkaanniemi et al. 2019 compute precision and recall on them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torchvision.models import vgg16

from derm_bench.errors import UserError
from derm_bench.training.precision import full_float32
from derm_bench.training.weights import compare_keys, read_weights, without_prefix
from derm_bench_plugins.metrics.extractors.weights import named
from derm_bench_plugins.metrics.inception_weights import digest

if TYPE_CHECKING:
    from derm_bench_plugins.metrics.extractors.options import FeatureOptions

BATCH = 16
SIDE = 224
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


class Vgg16Features:
    """uint8 images [N,3,H,W] -> float64 features [N,4096] (NumPy), after the ReLU unless `layer` is `fc2`.

    They are computed in float32 without TF32. Images are resized to 224 px, bilinear without antialiasing, and
    normalised with ImageNet's mean and deviation. `name` is `vgg16-<layer>:<sha256 of the weights file>`. Raises
    UserError if the file has no weights of VGG16.
    """

    def __init__(self, path: Path, device: str, layer: str = "fc2_relu") -> None:
        self.name = f"vgg16-{layer}:{digest(path)}"
        self.device, self.layer = device, layer
        with torch.device("meta"):
            network = vgg16(init_weights=False)
        own = network.state_dict()
        state = without_prefix(read_weights(path), own)
        if problems := compare_keys(own, state):
            raise UserError(f"not the weights of torchvision's VGG16: {'; '.join(problems)}", file=path)
        network.load_state_dict(state, assign=True)
        network.classifier = network.classifier[:4]  # up to the second layer, without its ReLU
        self.network = network.float().eval().to(device)
        self.mean, self.std = (torch.tensor(v, device=device).view(3, 1, 1) * 255 for v in (MEAN, STD))

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        with full_float32():
            parts = [self._of(part.to(self.device)).double().cpu() for part in images.split(BATCH)]
        return torch.cat(parts).numpy() if parts else np.empty((0, 4096))

    def _of(self, images: Tensor) -> Tensor:
        resized = interpolate_bilinear_2d_like_tensorflow1x(images.float(), (SIDE, SIDE), align_corners=False)
        features: Tensor = self.network((resized - self.mean) / self.std)
        return F.relu(features) if self.layer == "fc2_relu" else features


def extractor(options: FeatureOptions, device: str) -> Vgg16Features:
    """Create the extractor. Raises UserError if its weights are missing."""
    return Vgg16Features(named(options), device, options.layer or "fc2_relu")
