"""The Inception features of torch-fidelity (TensorFlow's 2015-12-05 network, TF1 resize) and the Inception score."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from derm_bench.errors import NoValue, UserError
from derm_bench.fidelity.distances import Interval
from derm_bench.training.precision import full_float32
from derm_bench.training.weights import read_weights
from derm_bench_plugins.metrics.inception_weights import digest, find_weights, preflight

if TYPE_CHECKING:
    from derm_bench.specs import Task

BATCH = 32
SPLITS = 10


class InceptionFeatures:
    """uint8 images [N,3,H,W] -> float64 pool features [N,2048] (NumPy).

    They are computed in float32 without TF32, independently of the precision of the stage. `name` is
    `inception-v3-compat:<sha256 of the weights file>`. The network resizes images to 299 px, bilinear without
    antialiasing, as is done for published FID values.
    """

    def __init__(self, path: Path, device: str) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        self.name = f"inception-v3-compat:{digest(path)}"
        self.device = device
        # torch-fidelity unpickles the file that it gets, so it gets a copy with the safely loaded tensors.
        safe = io.BytesIO()
        torch.save(read_weights(path), safe)
        safe.seek(0)
        try:
            network = FeatureExtractorInceptionV3(self.name, ["2048"], feature_extractor_weights_path=safe)
        except RuntimeError as error:
            raise UserError(f"not the weights of torch-fidelity's InceptionV3: {error}", file=path) from error
        self.network = folded(network.eval()).to(device)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        # Contiguous, because the rounding of the network's resize and convolutions depends on the layout of its input.
        batches = (part.to(self.device).contiguous() for part in images.split(BATCH))
        with full_float32():
            parts = [self.network(batch)[0].double().cpu() for batch in batches]
        return torch.cat(parts).numpy() if parts else np.empty((0, 2048))


def folded(network: nn.Module) -> nn.Module:
    """Return the network with each BatchNorm folded into the convolution before it.

    The features are the same up to 1e-6 of their size, with fewer passes over memory.
    """
    for module in network.modules():
        conv, norm = getattr(module, "conv", None), getattr(module, "bn", None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            module.conv, module.bn = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return network


class InceptionScore:
    """exp of the mean KL divergence of p(y|x) from p(y), over `splits` parts of the images (Salimans et al. 2016, eq.
    1).

    p(y|x) is the softmax of the 1008 logits without bias, computed from the pool features. As in torch-fidelity, images
    are first shuffled with a fixed seed. Real images are not used. There is no score for fewer images than splits. The
    number of images in a split is an upper bound of the score.
    """

    def __init__(self, weight: Tensor, splits: int = SPLITS) -> None:
        self.weight = weight.float()
        self.splits = splits

    def compute(self, real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> dict[str, float]:
        """Return the mean over the splits of `synthetic` [N,2048]; `real` is not used."""
        return {"inception_score": self.intervals(real, synthetic)["inception_score"].value}

    def intervals(self, real: NDArray[np.float64], synthetic: NDArray[np.float64]) -> dict[str, Interval]:
        """Return the mean with Student's t interval over the splits (papers report a standard deviation as +-); one
        split has none. Raises NoValue for fewer images than splits."""
        from torch_fidelity.metric_isc import isc_features_to_metric

        n = self.splits
        if len(synthetic) < n:
            raise NoValue(f"{n} splits need at least {n} images, not {len(synthetic)}")
        logits = torch.from_numpy(synthetic).float() @ self.weight.T
        score = isc_features_to_metric(logits, splits=n)
        value = score["inception_score_mean"]
        if n == 1:
            return {"inception_score": Interval(value, math.nan, math.nan)}
        half = float(stdtrit(n - 1, 0.975)) * score["inception_score_std"] / math.sqrt(n - 1)
        return {"inception_score": Interval(value, max(value - half, 1.0), value + half)}


def extractor(options: Any, device: str) -> InceptionFeatures:
    """Create the extractor of fid, kid and inception_score."""
    return InceptionFeatures(_found(options), device)


def inception_score(options: Any, task: Task) -> InceptionScore:
    weights = read_weights(_found(options))
    if "fc.weight" not in weights:
        raise UserError("not the weights of torch-fidelity's InceptionV3: no fc.weight", file=_found(options))
    return InceptionScore(weights["fc.weight"], options.splits)


def _found(options: Any) -> Path:
    path = find_weights(options)
    if path is None:
        raise UserError(preflight(options)[0])
    return path
