"""Losses of several tasks: class-balanced cross-entropy, and weights of tasks that are computed or learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


def class_weights(counts: torch.Tensor, balance: str, beta: float = 0.999) -> torch.Tensor:
    """Return the weight of each class, float32 [K], from the number of training images of each, [K].

    effective   proportional to (1 - beta) / (1 - beta^n) (Cui et al. 2019, eq. 2)
    inverse     proportional to 1 / n
    none        1

    Weights are scaled so that they average 1 over the images. A class without images has the weight 0 in the first two.
    """
    n = counts.double()
    if balance == "none" or not bool(n.sum()):
        return torch.ones(len(counts))
    if balance == "effective":
        raw = (1 - beta) / (1 - beta ** n.clamp(min=1))
    elif balance == "inverse":
        raw = 1 / n.clamp(min=1)
    else:
        raise ValueError(f"there is no class balance '{balance}'")
    raw = torch.where(n > 0, raw, 0.0)
    return (raw * n.sum() / (raw * n).sum()).float()


def balanced_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, rows: torch.Tensor
) -> torch.Tensor:
    """Return the cross entropy [scalar] of logits [N,K] against soft targets [N,K] with class weights [K] and row
    weights `rows` [N]: sum_i rows_i sum_c weights_c targets_ic (-log p_ic), divided by the sum of all targets.

    The row of an image without a label is zero, so that it counts neither in the sum nor in the divisor. If no image
    has a label, the loss is 0.
    """
    losses = -(targets * weights * F.log_softmax(logits.float(), dim=1)).sum(dim=1)
    labelled = targets.sum()
    return (losses * rows).sum() / torch.where(labelled > 0, labelled, torch.ones_like(labelled))


class DynamicWeights:
    """Dynamic Weight Averaging (Liu et al. 2019, eq. 7): w_k = K softmax_k(r_k / T), where r_k = L_k(t-1) / L_k(t-2) is
    the ratio of the mean losses of task k in the last two periods. The weights are 1 in the first two periods.

    `add` gets the losses of an update. `weights`, float32 [K], is filled in place, so that a recorded step reads it.
    """

    def __init__(self, tasks: int, period: int, temperature: float = 2.0, device: str = "cpu") -> None:
        self.period, self.temperature = period, temperature
        self.weights = torch.ones(tasks, device=device)
        self.updates = 0
        self._sums = torch.zeros(tasks, device=device)
        self._before = torch.zeros(tasks, device=device)

    def add(self, losses: torch.Tensor) -> None:
        """Add the losses [K] of an update. Nothing waits for the device."""
        self._sums += losses.detach()
        self.updates += 1
        if self.updates % self.period:
            return
        means = self._sums / self.period
        if self.updates >= 2 * self.period:
            self.weights.copy_(dynamic_weights(means, self._before, self.temperature))
        self._before.copy_(means)
        self._sums.zero_()

    def state_dict(self) -> dict[str, Any]:
        return {
            "updates": self.updates,
            "weights": self.weights.clone(),
            "sums": self._sums.clone(),
            "before": self._before.clone(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.updates = int(state["updates"])
        self.weights.copy_(state["weights"])
        self._sums.copy_(state["sums"])
        self._before.copy_(state["before"])


def dynamic_weights(last: torch.Tensor, before: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the weights [K] of Dynamic Weight Averaging from the mean losses [K] of the last period and of the one
    before it. The ratio of a task without a loss before is 1."""
    ratios = torch.where(before > 0, last / before.clamp(min=1e-12), torch.ones_like(last))
    return len(last) * (ratios / temperature).softmax(dim=0)


class Uncertainty(nn.Module):
    """Weights of tasks by learned uncertainties: sum_k exp(-s_k) L_k + s_k / 2, where s_k = log sigma_k^2 is learned
    and begins at 0 (Kendall et al. 2018, eq. 10, for classification)."""

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.log_variances = nn.Parameter(torch.zeros(tasks))

    def forward(self, losses: torch.Tensor) -> torch.Tensor:
        return (self.log_variances.neg().exp() * losses + self.log_variances / 2).sum()
