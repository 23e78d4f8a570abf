"""The metric loss of SLA-StyleGAN's classifier (Zhao et al. 2021, doi 10.1109/ACCESS.2021.3049600), for any network.

The paper's abstract states the effect of the loss: it "reduces the intraclass sample distance and expands the sample
distance between different classes" of a DenseNet201. The formula was not available; this implementation is the centre
loss with a margin between the centres (`losses.compact_and_apart`), applied to the features before the head. The
centres are initialised at random and trained by the optimizer of the network. They are not part of the fitted network,
which predicts without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.errors import UserError
from derm_bench.training.classification import fit_classifier
from derm_bench.training.losses import compact_and_apart
from derm_bench.training.module_classifier import ModuleClassifier

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Run


class SlaLoss(nn.Module):
    """`weight` times the loss of features [N,D], or [N,D,1,1], and soft targets [N,K]. It holds the centres [K,D]."""

    def __init__(self, classes: int, features: int, weight: float, margin: float) -> None:
        super().__init__()
        # Normalised to length 1, as in the loss, so that a learning rate rotates them as it rotates features.
        self.centres = nn.Parameter(F.normalize(torch.randn(classes, features), dim=1))
        self.weight, self.margin = weight, margin

    def forward(self, features: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.weight * compact_and_apart(features.flatten(1), targets, self.centres, self.margin)


class SlaClassifier(ModuleClassifier):
    """A classifier trained with the metric loss (`metric_weight`, `metric_margin`) in addition to `options.loss`."""

    def fit(self, train: ImageSet, val: ImageSet, run: Run) -> None:
        loss = self._loss().to(self.task.device)
        fit_classifier(self.net, train, val, run, self.options, head=self.head, feature_loss=loss)

    def _loss(self) -> SlaLoss:
        width = getattr(self.head, "in_features", None) or getattr(self.head, "in_channels", None)
        if width is None:
            raise UserError(
                f"metric_loss needs features before a linear head, not before {type(self.head).__name__}"
            )
        options, classes = self.options, len(self.task.classes)
        return SlaLoss(classes, width, options.metric_weight, options.metric_margin)  # type: ignore[attr-defined]
