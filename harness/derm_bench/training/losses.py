"""Losses of generators and classifiers. Logits may have any precision and are reduced in float32."""

from __future__ import annotations

import torch
from torch.nn import functional as F


def bce_real(logits: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Return mean -log sigmoid(logits), the loss of D on reals (Goodfellow et al. 2014, eq. 1, first term); with
    one-sided `smoothing`, the binary cross entropy with the target 1 - smoothing (Salimans et al. 2016, section
    3.4)."""
    logits = logits.float()
    return F.softplus(-logits).mean() + smoothing * logits.mean() if smoothing else F.softplus(-logits).mean()


def bce_fake(logits: torch.Tensor) -> torch.Tensor:
    """Return mean -log(1 - sigmoid(logits)), the loss of D on fakes (eq. 1, second term)."""
    return F.softplus(logits.float()).mean()


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
    """Return the binary cross entropy of the discriminator: the sum of both terms, as in published DCGANs. `smoothing`
    is one-sided."""
    return bce_real(real, smoothing) + bce_fake(fake)


def generator_loss(fake: torch.Tensor) -> torch.Tensor:
    """Return the non-saturating generator loss, mean -log D(G(z)) (Goodfellow et al. 2014, section 3)."""
    return bce_real(fake)


def hinge_discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z))) (Lim and Ye 2017, eq. 4)."""
    return F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean()


def relativistic_loss(leading: torch.Tensor, trailing: torch.Tensor) -> torch.Tensor:
    """Return mean -log sigmoid(leading - trailing) over pairs of logits [N]: the relativistic pairing loss
    (Jolicoeur-Martineau 2019; Huang et al. 2024, eq. 2). D's loss has the logits of reals first, G's those of fakes."""
    return F.softplus(trailing.float() - leading.float()).mean()


def critic_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return mean D(G(z)) - mean D(x), the negative estimate of the Wasserstein distance (Arjovsky et al. 2017, eq.
    2)."""
    return fake.float().mean() - real.float().mean()


def negative_score(fake: torch.Tensor) -> torch.Tensor:
    """Return -mean D(G(z)), the generator loss for hinge and Wasserstein critics."""
    return -fake.float().mean()


# name -> (discriminator loss of the logits of reals and fakes, generator loss of the logits of fakes)
ADVERSARIAL = {
    "bce": (discriminator_loss, generator_loss),
    "hinge": (hinge_discriminator_loss, negative_score),
    "wgan": (critic_loss, negative_score),
}


def between(real: torch.Tensor, fake: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Return points on the lines from fakes to reals, one uniform draw per row, for the gradient penalty (Gulrajani et
    al. 2017, algorithm 1, line 6): float32, requires_grad."""
    epsilon = torch.rand(len(real), *[1] * (real.dim() - 1), generator=draws, device=draws.device)
    return torch.lerp(fake.detach().float(), real.float(), epsilon).requires_grad_(True)


def gradient_penalty(scores: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return mean (|grad_x D(x)|_2 - 1)^2 at `points` (WGAN-GP; Gulrajani et al. 2017, eq. 3 without lambda). `scores`
    is D(points), any shape with one row per point. The norm is computed in float32; D's forward pass may be in bf16."""
    return (_gradient(scores, points).norm(dim=1) - 1).square().mean()


def r1_penalty(scores: torch.Tensor, reals: torch.Tensor) -> torch.Tensor:
    """Return mean |grad_x D(x)|^2 at `reals` with requires_grad (Mescheder et al. 2018, eq. 9 without gamma / 2)."""
    return _gradient(scores, reals).square().sum(dim=1).mean()


def _gradient(scores: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return d scores / d points, float32 [N, elements], which is differentiable."""
    (slope,) = torch.autograd.grad(scores.float().sum(), points, create_graph=True)
    return slope.float().flatten(1)


def soft_cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the cross entropy [scalar] of logits [N,K] against soft targets [N,K], with row weights `weights` [N].

    The sum is divided by the number of rows N, as `torch.nn.functional.cross_entropy` does for targets that are
    probabilities. With the targets and weights of a `Batch` the result equals that of torch with `weight=` the class
    weights, and targets of a single class are the special case of one-hot rows. For targets that are class indices,
    torch divides by the sum of the weights in the batch instead; its result is N / sum(weights) times this one. That is
    not used here: class weights average 1 over the set and not over a batch, so an image would count less the more
    images of rare classes happen to be in its batch.
    """
    rows = -(targets * F.log_softmax(logits.float(), dim=1)).sum(dim=1)
    return rows.mean() if weights is None else (rows * weights).mean()


def soft_bce(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the one-vs-rest binary cross entropy [scalar] of logits [N,K] against soft targets, summed over
    classes."""
    rows = F.binary_cross_entropy_with_logits(logits.float(), targets, reduction="none").sum(dim=1)
    return rows.mean() if weights is None else (rows * weights).mean()


CLASSIFICATION_LOSSES = {"ce": soft_cross_entropy, "bce": soft_bce}


def compact_and_apart(
    features: torch.Tensor, targets: torch.Tensor, centres: torch.Tensor, margin: float
) -> torch.Tensor:
    """Return a scalar loss that pulls features [N,D] to the centre of their class and pushes the centres [K,D] apart:

        mean_i sum_k t_ik |f_i - c_k|^2 / 2  +  mean_{j<k} max(0, margin - |c_j - c_k|^2)

    The first term is the centre loss (Wen et al. 2016, eq. 2) under soft targets t [N,K]. All vectors are first
    normalised to length 1, so that shrinking features does not reduce the loss. Squared distances are then in [0, 4],
    and 2 at right angles.
    """
    features, centres = F.normalize(features.float(), dim=1), F.normalize(centres.float(), dim=1)
    inner = (targets * (1 - features @ centres.T)).sum(dim=1).mean()  # |f - c|^2 / 2 for unit vectors
    one, other = torch.triu_indices(len(centres), len(centres), offset=1, device=centres.device)
    apart = F.relu(margin - 2 * (1 - (centres[one] * centres[other]).sum(dim=1)))
    return inner + apart.sum() / max(1, len(one))  # a single class has no pair


def k_plus_one_discriminator_loss(
    real: torch.Tensor, fake: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Return mean -log p(y | x) + mean -log p(K+1 | G(z)) of logits [N,K+1], of which the last is "fake" (Salimans et
    al. 2016, section 5, with a label for every real). `targets` [N,K] are the classes of the reals."""
    return soft_cross_entropy(real, F.pad(targets, (0, 1))) - F.log_softmax(fake.float(), dim=1)[:, -1].mean()


def k_plus_one_generator_loss(fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return mean -log p(y | G(z,y)) of logits [N,K+1], of which the last is "fake". It is small if fakes are
    classified as reals of their class. `targets` [N,K] are the classes passed to G."""
    return soft_cross_entropy(fake, F.pad(targets, (0, 1)))


def feature_distance(real: torch.Tensor, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the squared distance between the mean features of reals and of fakes, [N,D] each, of one class, averaged
    over classes by their share: feature matching (Salimans et al. 2016, section 3.1) within classes. `targets` [N,K]
    are the classes of both. The features of reals get no gradient."""
    images = targets.sum(dim=0)
    means = targets.T @ (real.detach().float() - fake.float()) / images.clamp(min=1e-6)[:, None]
    return images @ means.square().sum(dim=1) / images.sum()


def gaussian_kl(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Return KL(N(mean, variance) | N(0, I)) in nats, summed over the dimensions of [N,D], mean over rows (Kingma and
    Welling 2014, appendix B)."""
    mean, log_variance = mean.float(), log_variance.float()
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean() / 2
