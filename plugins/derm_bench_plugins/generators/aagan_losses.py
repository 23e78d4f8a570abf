"""The losses of AA-GAN (paper 000, equations 1 to 5): Wasserstein with a gradient penalty, content and style.

Y are the volumes of the training pairs, Y' = G(X) those of G, and P(X) is what D makes of the maps X. f^l is the output
of layer l of D: the volume itself without P(X) (0), the 3D convolutions (1 to 5), the score (6).

    (1) L_D  = E[D(Y', P)] - E[D(Y, P)] + lambda E[(|grad D(e Y + (1-e) Y', P)|_2 - 1)^2]      e ~ U[0,1] per pair
    (2) L_G  = -E[D(Y', P)]
    (3) L_G* = alpha L_content + beta L_style                               sums over some of the layers
    (4) content, layer l:  1/2 sum_ik (f_ik(Y) - f_ik(Y'))^2
    (5) style, layer l:    1 / (4 N^2 M^2) sum_ij (A_ij(Y) - A_ij(Y'))^2    A_ij = sum_k f_ik f_jk, N channels, M voxels

Equations 4 and 5 are sums for one pair, and here their means over the pairs of a batch. The gradient of equation 1 is
taken with respect to all four channels that D gets, so that P(X) counts in the norm, as in the code of Hair-GAN.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from derm_bench.training.losses import between, critic_loss, gradient_penalty
from derm_bench_plugins.generators.aagan_nets import VolumeDiscriminator, paired
from derm_bench_plugins.generators.aagan_volume import cosines, vectors_of
from derm_bench_plugins.hair.volume import OCCUPIED


def discriminator_losses(
    d: VolumeDiscriminator,
    real: torch.Tensor,
    fake: torch.Tensor,
    condition: torch.Tensor,
    draws: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Return the first two terms of equation 1, the penalty without lambda, and D's scores [N] of reals and fakes.

    real, fake: volumes [N,3,D,H,W] of the same maps; condition: P(X) of these maps, [N,1,D,H,W], with its gradient;
    draws: from which e is drawn. The penalty is computed in float32.
    """
    scores = d(real, condition), d(fake.detach(), condition)
    return critic_loss(*scores), conditional_penalty(d, real, fake, condition, draws), scores


def conditional_penalty(
    d: VolumeDiscriminator,
    real: torch.Tensor,
    fake: torch.Tensor,
    condition: torch.Tensor,
    draws: torch.Generator,
) -> torch.Tensor:
    """Return E[(|grad D|_2 - 1)^2] between `real` and `fake`; the norm is that over volume and P(X) of a pair."""
    with torch.autocast(condition.device.type, enabled=False):
        points = paired(between(real, fake, draws), condition.float())
        return gradient_penalty(d.features(points)[-1], points)


def layers_of(d: VolumeDiscriminator, volume: torch.Tensor, condition: torch.Tensor) -> list[torch.Tensor]:
    """Return f^0 to f^6 of volumes, float32 [N,channels,...]."""
    return [volume.float(), *(found.float() for found in d.features(paired(volume, condition)))]


def content_loss(
    real: Sequence[torch.Tensor], fake: Sequence[torch.Tensor], layers: Iterable[int]
) -> torch.Tensor:
    """Return equation 4, summed over `layers`, of the features of all layers of Y and of Y'."""
    terms = [(real[k] - fake[k]).square().sum() / (2 * len(real[k])) for k in layers]
    return torch.stack(terms).sum() if terms else real[0].new_zeros(())


def style_loss(
    real: Sequence[torch.Tensor], fake: Sequence[torch.Tensor], layers: Iterable[int]
) -> torch.Tensor:
    """Return equation 5, summed over `layers`."""
    terms = []
    for k in layers:
        n, channels = real[k].shape[:2]
        voxels = real[k][0, 0].numel()
        distance = (gram(real[k]) - gram(fake[k])).square().sum()
        terms.append(distance / (4 * n * channels**2 * voxels**2))
    return torch.stack(terms).sum() if terms else real[0].new_zeros(())


def gram(features: torch.Tensor) -> torch.Tensor:
    """Return A [N,C,C], the products of the channels of features [N,C,...], summed over the voxels."""
    flat = features.flatten(2) if features.ndim > 2 else features.unsqueeze(2)
    return flat @ flat.transpose(1, 2)


def direction_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return the mean of 1 - cosine of the angle between the directions of volumes [N,3,D,H,W], over the voxels where
    `real` has hair, as volumes are read when strands grow in them. It is not in the paper. Equation 4 alone counts the
    direction of a voxel with the square of how likely it has hair."""
    hair = (real.sum(dim=1) > OCCUPIED).float()
    cosine = cosines(vectors_of(fake), 2 * real.float() - 1)
    return ((1 - cosine) * hair).sum() / hair.sum().clamp(min=1)
