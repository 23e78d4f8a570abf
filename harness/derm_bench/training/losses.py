"""Losses of generators and classifiers. Logits are taken in any precision and reduced in float32."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def bce_real(logits: torch.Tensor) -> torch.Tensor:
    """-log sigmoid(logits), mean: D taking reals for fakes (Goodfellow et al. 2014, eq. 1, first term)."""
    return F.softplus(-logits.float()).mean()


def bce_fake(logits: torch.Tensor) -> torch.Tensor:
    """-log(1 - sigmoid(logits)), mean: D taking fakes for reals (eq. 1, second term)."""
    return F.softplus(logits.float()).mean()


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """The discriminator's binary cross entropy: the sum of both terms, as published DCGANs minimise it."""
    return bce_real(real) + bce_fake(fake)


def generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """The non-saturating generator loss, -log D(G(z)), mean (Goodfellow et al. 2014, section 3)."""
    return bce_real(fake)


def soft_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Cross entropy [scalar] of logits [N,K] against soft targets [N,K], each row times `weights` [N].

    It is the mean over rows, not over weights: class weights average 1 over the set, not over a batch.
    """
    rows = -(targets * F.log_softmax(logits.float(), dim=1)).sum(dim=1)
    return rows.mean() if weights is None else (rows * weights).mean()


def soft_bce(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """One-vs-rest binary cross entropy [scalar] of logits [N,K] against soft targets, summed over classes."""
    rows = F.binary_cross_entropy_with_logits(logits.float(), targets, reduction="none").sum(dim=1)
    return rows.mean() if weights is None else (rows * weights).mean()


CLASSIFICATION_LOSSES = {"ce": soft_cross_entropy, "bce": soft_bce}
