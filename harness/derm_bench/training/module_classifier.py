"""Base class of classifiers that consist of one network and use the common training loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.training.classification import fit_classifier, logits_with_gradient, predict_proba
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench.training.weights import load_network, origin_of

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.options import ClassifierOptions
    from derm_bench.protocols import Task
    from derm_bench.run import Run


class ModuleClassifier(ModulePlugin):
    """A classifier that consists of one network, trained by `fit_classifier`.

    net: images float32 [N,3,size,size] -> logits [N,K]. head: its last layer, which is not loaded from a weights file
    with other classes, and is the only trained part with `freeze`. mean, std: for normalising pixels in [0,1]; the
    harness applies them. unused: name prefixes of entries of a weights file that the network does not use.
    `weights_from` describes the initial weights for the results.
    """

    def __init__(
        self,
        net: nn.Module,
        head: nn.Module,
        options: ClassifierOptions,
        task: Task,
        mean: tuple[float, ...] = (0.5, 0.5, 0.5),
        std: tuple[float, ...] = (0.5, 0.5, 0.5),
        unused: Sequence[str] = (),
    ) -> None:
        self.net, self.head = net.to(task.device), head
        self.options, self.task = options, task
        self.mean, self.std = mean, std
        self.weights_from: dict[str, str] = {}
        if options.weights is not None:
            load_network(self.net, self.head, options.weights, unused)
            self.weights_from = origin_of(options.weights)

    def fit(self, train: ImageSet, val: ImageSet, run: Run) -> None:
        fit_classifier(self.net, train, val, run, self.options, head=self.head)

    def predict_proba(self, images: torch.Tensor) -> torch.Tensor:
        """Return float32 [N,K] whose rows sum to 1, computed in eval mode, 256 images per forward pass."""
        return predict_proba(self.net, images, self.options.loss)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits float32 [N,K], differentiable with respect to images float32 [N,3,H,W] in [0,1] of any side, as
        `Classifier` describes."""
        if images.shape[-1] != self.task.size:
            images = F.interpolate(images.float(), self.task.size, mode="bilinear", antialias=True)
        mean, std = (images.new_tensor(list(values)).view(1, 3, 1, 1) for values in (self.mean, self.std))
        return logits_with_gradient(self.net, (images - mean) / std, self.options.loss)

    def parts(self) -> dict[str, nn.Module]:
        return {"net": self.net}
