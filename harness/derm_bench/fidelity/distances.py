"""Frechet distance and maximum mean discrepancies between two sets of features, each with an interval.

Features are float64 [N,D]. Both intervals are delete-a-group jackknife intervals: the images of each side are divided
into 20 groups (fewer below 20 images), the distance is computed again with one group of each side left out at a time,
and the spread of these values gives Student's t interval around the distance. A bootstrap is not used because it
repeats images, which increases a Frechet distance as a smaller sample would.
"""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
# Indices of images of each side.
Pair = tuple[Indices, Indices]

GROUPS = 20
# Matrices up to this size are decomposed exactly.
EXACT = 512
# Images per block of the kernel matrix, which may be larger than memory.
ROWS = 1024
# Up to WHOLE images per side, all pairs are used; beyond it, pairs within subsets of about SUBSET images, the size that
# the authors of KID use.
WHOLE, SUBSET = 2000, 1000
ALPHA = 0.05


class Interval(NamedTuple):
    """A value with the bounds of its 95% interval. Bounds are NaN if there are too few images."""

    value: float
    low: float
    high: float


def frechet_distance(real: Floats, fake: Floats, groups: int = GROUPS, device: str = "cpu") -> Interval:
    """Return the squared Frechet distance of the Gaussians fitted to the features (Heusel et al. 2017, eq. 6):

        |m_r - m_f|^2 + Tr(S_r + S_f - 2 (S_r S_f)^(1/2))

    S are the sample covariances (denominator N - 1), without shrinkage. For N < D they are singular, which the formula
    allows, and the value is biased upwards by about the difference of two samples of real images. Compare only values
    of equal N. `groups=0` omits the interval. The computation runs on `device` in float64. Raises ValueError for fewer
    than two images per side.
    """
    require_sides(real, fake)
    dealt = deal(len(real), len(fake), groups)
    x, y = (torch.from_numpy(np.ascontiguousarray(side)).to(device) for side in (real, fake))
    sides = _Wide(x, y) if min(len(real), len(fake)) <= real.shape[1] else _Tall(x, y)
    value = sides.distance(None)
    low, high = jackknife(value, [sides.distance(one) for one in dealt])
    return Interval(value, float(np.maximum(low, 0.0)), high)


def kernel_distance(real: Floats, fake: Floats, groups: int = GROUPS, device: str = "cpu") -> Interval:
    """Return the squared maximum mean discrepancy with the kernel (x.y / D + 1)^3 (KID, Binkowski et al. 2018, sect.
    4).

    This is the unbiased estimator over all images, to which the customary mean over random subsets converges. It has
    less variance and no subset size. It is negative about half of the time for equal distributions. Above 2,000 images
    per side, where all pairs would take long, it is the mean over disjoint subsets of about 1,000 images. `groups=0`
    omits the interval. The computation runs on `device` in float64. Raises ValueError for fewer than two images per
    side.
    """
    require_sides(real, fake)
    if max(len(real), len(fake)) > WHOLE:
        return _over_subsets(real, fake, groups, device)
    dealt = deal(len(real), len(fake), groups) or [(np.arange(len(real)), np.arange(len(fake)))]
    x, y = (torch.from_numpy(np.ascontiguousarray(side)).to(device) for side in (real, fake))
    sums = _KernelSums.of([x[i] for i, _ in dealt], [y[j] for _, j in dealt])
    which = np.arange(len(dealt))
    value = sums.mmd2(which >= 0)
    deleted = [sums.mmd2(which != g) for g in which] if len(dealt) > 1 else []
    return Interval(value, *jackknife(value, deleted))


def _over_subsets(real: Floats, fake: Floats, groups: int, device: str) -> Interval:
    """Return the mean of the estimator over disjoint subsets, with the jackknife interval over the subsets."""
    count = max(1, min(-(-max(len(real), len(fake)) // SUBSET), min(len(real), len(fake)) // 2))
    rng = np.random.default_rng(0)
    parts = [
        [
            torch.from_numpy(side[rows]).to(device)
            for rows in np.array_split(rng.permutation(len(side)), count)
        ]
        for side in (real, fake)
    ]
    values = [_KernelSums.of([x], [y]).mmd2(np.ones(1, np.bool_)) for x, y in zip(*parts, strict=True)]
    total = math.fsum(values)
    deleted = [(total - value) / (count - 1) for value in values] if groups and count > 2 else []
    return Interval(total / count, *jackknife(total / count, deleted))


def gaussian_distance(real: Floats, fake: Floats, groups: int = GROUPS, device: str = "cpu") -> Interval:
    """Return the squared maximum mean discrepancy with a Gaussian kernel (Gretton et al. 2012, eq. 3), at most 2.

    The kernel exp(-|x-y|^2 / 2w^2) is as wide as the median distance w of two real images. The estimator is unbiased:
    for equal distributions it is around 0, and negative about half of the time. Since the kernel is bounded, a few
    images that are far from all others count as a few images, whatever their distance. Above 2,000 images per side, the
    first 2,000 are compared. If all real images have the same features, w is the median distance of all images, or 1.
    `groups=0` omits the interval. The computation runs on `device` in float64. Raises ValueError for fewer than two
    images per side.
    """
    require_sides(real, fake)
    x, y = (torch.from_numpy(np.ascontiguousarray(side[:WHOLE])).to(device) for side in (real, fake))
    tables = _apart(x, x), _apart(y, y), _apart(x, y)
    width = (
        _median_above(tables[0]) or float(torch.cat([table.flatten() for table in tables]).median()) or 1.0
    )
    rr, ff, rf = (torch.exp(table.square() / (-2 * width**2)) for table in tables)
    rr.fill_diagonal_(0)
    ff.fill_diagonal_(0)
    dealt = deal(len(x), len(y), groups) or [(np.arange(len(x)), np.arange(len(y)))]
    inside = [
        _membership([pair[side] for pair in dealt], n).to(device) for side, n in ((0, len(x)), (1, len(y)))
    ]
    sums = _KernelSums(
        (inside[0].T @ rr @ inside[0]).cpu().numpy(),
        (inside[1].T @ ff @ inside[1]).cpu().numpy(),
        (inside[0].T @ rf @ inside[1]).cpu().numpy(),
        *(side.sum(0).cpu().numpy() for side in inside),
    )
    which = np.arange(len(dealt))
    value = sums.mmd2(which >= 0)
    deleted = [sums.mmd2(which != g) for g in which] if len(dealt) > 1 else []
    return Interval(value, *jackknife(value, deleted))


def _apart(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean distances [N,M]; those of equal rows are 0."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _median_above(table: torch.Tensor) -> float:
    """Return the median of the values above the diagonal of a square table."""
    rows, columns = torch.triu_indices(len(table), len(table), 1)
    return float(table[rows, columns].median())


def _membership(groups: list[Indices], n: int) -> torch.Tensor:
    """Return float64 [n,G]: 1 where an image is in a group."""
    inside = torch.zeros(n, len(groups), dtype=torch.float64)
    for k, rows in enumerate(groups):
        inside[torch.from_numpy(rows), k] = 1
    return inside


def require_sides(real: Floats, fake: Floats) -> None:
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise ValueError(f"features must be [N,D] with equal D, not {real.shape} and {fake.shape}")
    if min(len(real), len(fake)) < 2:
        raise ValueError(f"a distance needs two images per side, not {len(real)} and {len(fake)}")


# ---------------------------------------------------------------------------------------- Frechet


class _Wide:
    """The Frechet distance for fewer images than features.

    Tr (S_r S_f)^(1/2) is the sum of the singular values of C_r C_f', where C are the centred features over
    sqrt(N - 1), a matrix whose size is the number of images. Products of images are computed once. To leave images out,
    their rows and columns are removed and the rest is centred.
    """

    def __init__(self, real: torch.Tensor, fake: torch.Tensor) -> None:
        self.real, self.fake = real, fake
        self.products = real @ fake.T

    def distance(self, without: Pair | None) -> float:
        x, y, products = self.real, self.fake, self.products
        if without is not None:
            rows, columns = (_others(side, gone) for side, gone in zip((x, y), without, strict=True))
            x, y, products = x[rows], y[columns], products[rows][:, columns]
        centred = products - products.mean(0) - products.mean(1, keepdim=True) + products.mean()
        cross = _nuclear_norm(centred / math.sqrt((len(x) - 1) * (len(y) - 1)))
        gap = x.mean(0) - y.mean(0)
        spread = sum(float((side - side.mean(0)).square().sum()) / (len(side) - 1) for side in (x, y))
        return max(float(gap @ gap) + spread - 2 * cross, 0.0)


class _Tall:
    """The Frechet distance for more images than features: means and covariances are computed from sums, from which the
    terms of left-out images are subtracted."""

    def __init__(self, real: torch.Tensor, fake: torch.Tensor) -> None:
        self.sides = [_Moments(real), _Moments(fake)]
        self.rows = real, fake

    def distance(self, without: Pair | None) -> float:
        x, y = self.sides
        if without is not None:
            x, y = (
                side.minus(rows[torch.from_numpy(gone).to(rows.device)])
                for side, rows, gone in zip(self.sides, self.rows, without, strict=True)
            )
        gap = x.mean - y.mean
        s, t = x.covariance, y.covariance
        cross = _root_trace(s, t)
        return max(float(gap @ gap) + float(s.trace()) + float(t.trace()) - 2 * cross, 0.0)


class _Moments:
    """Sums of features and of their products, relative to the mean of all images for numerical precision."""

    def __init__(self, features: torch.Tensor) -> None:
        self.centre = features.mean(0)
        around = features - self.centre
        self.n, self.total, self.products = len(features), around.sum(0), _square(around)

    def minus(self, features: torch.Tensor) -> _Moments:
        """Return the moments without the images of these features."""
        rest = copy.copy(self)
        around = features - self.centre
        rest.n = self.n - len(features)
        rest.total = self.total - around.sum(0)
        rest.products = self.products - _square(around)
        return rest

    @property
    def mean(self) -> torch.Tensor:
        return self.centre + self.total / self.n

    @property
    def covariance(self) -> torch.Tensor:
        """Return the covariance (denominator N - 1)."""
        return (self.products - torch.outer(self.total, self.total) / self.n) / (self.n - 1)


def _square(rows: torch.Tensor) -> torch.Tensor:
    """Return rows' rows. On the CPU, NumPy uses the symmetry and takes half the time of torch."""
    if rows.is_cuda:
        return rows.T @ rows
    array = rows.numpy()
    return torch.from_numpy(array.T @ array)


def _others(side: torch.Tensor, gone: Indices) -> torch.Tensor:
    keep = torch.ones(len(side), dtype=torch.bool)
    keep[torch.from_numpy(gone)] = False
    return keep.nonzero().flatten().to(side.device)


def _nuclear_norm(matrix: torch.Tensor) -> float:
    """Return the sum of the singular values. For a large matrix they are the roots of the eigenvalues of its square,
    which takes a fraction of the time and is exact to about 1e-8 of the largest value."""
    if min(matrix.shape) <= EXACT:
        return float(torch.linalg.svdvals(matrix).sum())
    square = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
    return float(torch.linalg.eigvalsh(square).clamp(min=0).sqrt().sum())


def _root_trace(s: torch.Tensor, t: torch.Tensor) -> float:
    """Return Tr (S T)^(1/2), from a factor S = L L' and the symmetric L' T L, which has the eigenvalues of S T."""
    factor, failed = torch.linalg.cholesky_ex(s)
    if bool(failed):  # constant features make a covariance singular
        values, vectors = torch.linalg.eigh(s)
        factor = vectors * values.clamp(min=0).sqrt()
    return float(torch.linalg.eigvalsh(factor.T @ t @ factor).clamp(min=0).sqrt().sum())


# ----------------------------------------------------------------------------------------- kernel


class _KernelSums(NamedTuple):
    """Kernel values summed by pairs of groups, so that a distance without a group is a sum of few values.

    rr, ff, rf: float64 [G,G]; rr and ff exclude the pairs of an image with itself. n_real, n_fake: float64 [G], images
    per group.
    """

    rr: Floats
    ff: Floats
    rf: Floats
    n_real: Floats
    n_fake: Floats

    @classmethod
    def of(cls, real: list[torch.Tensor], fake: list[torch.Tensor]) -> _KernelSums:
        between = np.array([[_kernel_sum(x, y) for y in fake] for x in real])
        sizes = (np.array([len(x) for x in groups], np.float64) for groups in (real, fake))
        return cls(_within(real), _within(fake), between, *sizes)

    def mmd2(self, keep: NDArray[np.bool_]) -> float:
        both = np.ix_(keep, keep)
        m, n = self.n_real[keep].sum(), self.n_fake[keep].sum()
        within = self.rr[both].sum() / (m * (m - 1)) + self.ff[both].sum() / (n * (n - 1))
        return float(within - 2 * self.rf[both].sum() / (m * n))


def _within(groups: list[torch.Tensor]) -> Floats:
    """Return the sums over pairs of one side. The table is symmetric, so only half of it is computed."""
    table = np.zeros((len(groups), len(groups)))
    for a, x in enumerate(groups):
        own = float((x.square().sum(1) / x.shape[1] + 1).pow(3).sum())
        blocks = x.split(ROWS)
        across = sum(_kernel_sum(block, other) for k, block in enumerate(blocks) for other in blocks[:k])
        table[a, a] = sum(_kernel_sum(block, block) for block in blocks) + 2 * across - own
        for b in range(a):
            table[a, b] = table[b, a] = _kernel_sum(x, groups[b])
    return table


def _kernel_sum(x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the sum of (x.y / D + 1)^3 over all pairs, computed in blocks of rows."""
    total = 0.0
    for rows in x.split(ROWS):
        k = torch.addmm(x.new_ones(()), rows, y.T, alpha=1 / x.shape[1])
        total += float(k.pow_(3).sum())
    return total


# --------------------------------------------------------------------------------------- jackknife


def deal(n_real: int, n_fake: int, groups: int) -> list[tuple[Indices, Indices]]:
    """Divide the images of each side into `groups` non-empty groups. Returns none if fewer than three are possible."""
    count = min(groups, n_real, n_fake)
    if count < 3:
        return []
    rng = np.random.default_rng(0)
    real, fake = (np.array_split(rng.permutation(n), count) for n in (n_real, n_fake))
    return list(zip(real, fake, strict=True))


def jackknife(value: float, deleted: list[float]) -> tuple[float, float]:
    """Return the bounds value +- t se, se^2 = (G-1)/G sum (d_g - mean d)^2, t on G - 1 degrees of freedom."""
    from scipy.special import stdtrit

    groups = len(deleted)
    if not groups:
        return math.nan, math.nan
    error = math.sqrt((groups - 1) * float(np.var(deleted)))
    half = float(stdtrit(groups - 1, 1 - ALPHA / 2)) * error
    return value - half, value + half
