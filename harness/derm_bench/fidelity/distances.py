"""Frechet and kernel distances between two sets of features, each with an interval.

Features are float64 [N,D]. Both intervals are a delete-a-group jackknife: the images of each side are dealt
into 20 groups (fewer below 20 images), the distance is taken again without one group of both sides at a
time, and the spread of those values gives Student's t interval around the distance. A bootstrap would
repeat images, which a Frechet distance mistakes for a smaller sample and answers with a larger value.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

GROUPS = 20
ALPHA = 0.05


class Interval(NamedTuple):
    """A value with the bounds of its 95% interval; bounds are NaN where there are too few images for one."""

    value: float
    low: float
    high: float


def frechet_distance(real: Floats, fake: Floats, groups: int = GROUPS) -> Interval:
    """Squared Frechet distance of the Gaussians fitted to the features (Heusel et al. 2017, eq. 6):

        |m_r - m_f|^2 + Tr(S_r + S_f - 2 (S_r S_f)^(1/2))

    S are the plain sample covariances (denominator N - 1), without shrinkage: for N < D they are singular,
    which the formula allows, and the value is biased upwards by about as much as two samples of real images
    differ. Compare only values of equal N. `groups=0` leaves the interval out.
    Raises ValueError below two images a side.
    """
    _require(real, fake)
    value = _frechet(real, fake)
    deleted = [
        _frechet(np.delete(real, without_real, 0), np.delete(fake, without_fake, 0))
        for without_real, without_fake in _groups(len(real), len(fake), groups)
    ]
    low, high = _jackknife(value, deleted)
    return Interval(value, float(np.maximum(low, 0.0)), high)


def kernel_distance(real: Floats, fake: Floats, groups: int = GROUPS) -> Interval:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3 (KID, Binkowski et al. 2018, sect. 4).

    The unbiased estimator over all images: what the customary mean over random subsets converges to, with
    less variance and no subset size to choose. It is negative about half of the time for equal distributions.
    `groups=0` leaves the interval out. Raises ValueError below two images a side.
    """
    _require(real, fake)
    dealt = _groups(len(real), len(fake), groups) or [(np.arange(len(real)), np.arange(len(fake)))]
    sums = _KernelSums.of([real[i] for i, _ in dealt], [fake[j] for _, j in dealt])
    which = np.arange(len(dealt))
    value = sums.mmd2(which >= 0)
    deleted = [sums.mmd2(which != g) for g in which] if len(dealt) > 1 else []
    return Interval(value, *_jackknife(value, deleted))


def _require(real: Floats, fake: Floats) -> None:
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise ValueError(f"features must be [N,D] of one D, not {real.shape} and {fake.shape}")
    if min(len(real), len(fake)) < 2:
        raise ValueError(f"a distance needs two images a side, not {len(real)} and {len(fake)}")


# ---------------------------------------------------------------------------------------- Frechet


def _frechet(real: Floats, fake: Floats) -> float:
    """With F'F = S, Tr (S_r S_f)^(1/2) is the sum of the singular values of F_r F_f'; no matrix root is
    taken, and with N < D the matrices are only N wide."""
    mean_gap = real.mean(0) - fake.mean(0)
    left, right = _factor(real), _factor(fake)
    cross = np.linalg.svd(left @ right.T, compute_uv=False).sum()
    distance = mean_gap @ mean_gap + (left**2).sum() + (right**2).sum() - 2 * cross
    return float(max(distance, 0.0))


def _factor(features: Floats) -> Floats:
    """F with F'F = sample covariance: centred features, or their triangular factor where N > D."""
    centred = (features - features.mean(0)) / math.sqrt(len(features) - 1)
    if len(centred) <= centred.shape[1]:
        return centred
    factor: Floats = np.linalg.qr(centred, mode="r")  # type: ignore[assignment]
    return factor


# ----------------------------------------------------------------------------------------- kernel


class _KernelSums(NamedTuple):
    """Kernel values summed by pairs of groups, so that a distance without a group is a sum of few numbers.

    rr, ff, rf: float64 [G,G], the diagonal of images with themselves left out of rr and ff; n_real, n_fake:
    float64 [G] images a group.
    """

    rr: Floats
    ff: Floats
    rf: Floats
    n_real: Floats
    n_fake: Floats

    @classmethod
    def of(cls, real: list[Floats], fake: list[Floats]) -> _KernelSums:
        def sums(rows: list[Floats], columns: list[Floats], same: bool) -> Floats:
            table = np.array([[_kernel(x, y).sum() for y in columns] for x in rows])
            if same:
                table -= np.diag([np.trace(_kernel(x, x)) for x in rows])
            return table

        def sizes(groups: list[Floats]) -> Floats:
            return np.array([len(x) for x in groups], np.float64)

        tables = sums(real, real, True), sums(fake, fake, True), sums(real, fake, False)
        return cls(*tables, sizes(real), sizes(fake))

    def mmd2(self, keep: NDArray[np.bool_]) -> float:
        both = np.ix_(keep, keep)
        m, n = self.n_real[keep].sum(), self.n_fake[keep].sum()
        within = self.rr[both].sum() / (m * (m - 1)) + self.ff[both].sum() / (n * (n - 1))
        return float(within - 2 * self.rf[both].sum() / (m * n))


def _kernel(x: Floats, y: Floats) -> Floats:
    return (x @ y.T / x.shape[1] + 1) ** 3


# --------------------------------------------------------------------------------------- jackknife


def _groups(n_real: int, n_fake: int, groups: int) -> list[tuple[Indices, Indices]]:
    """Images of each side dealt into `groups` groups, none empty; no groups where three cannot be made."""
    count = min(groups, n_real, n_fake)
    if count < 3:
        return []
    rng = np.random.default_rng(0)
    real, fake = (np.array_split(rng.permutation(n), count) for n in (n_real, n_fake))
    return list(zip(real, fake, strict=True))


def _jackknife(value: float, deleted: list[float]) -> tuple[float, float]:
    """Bounds value +- t se, se^2 = (G-1)/G sum (d_g - mean d)^2, t on G - 1 degrees of freedom."""
    from scipy.special import stdtrit

    groups = len(deleted)
    if not groups:
        return math.nan, math.nan
    error = math.sqrt((groups - 1) * float(np.var(deleted)))
    half = float(stdtrit(groups - 1, 1 - ALPHA / 2)) * error
    return value - half, value + half
