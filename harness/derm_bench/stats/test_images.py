"""How scores vary with the choice of the test images: clusters of images, strata, and deviations of a score.

Clusters (patients, else lesions, else single images) are the units that are sampled; they are stratified by class, so
that each class keeps its number of clusters. The variation of a score is kept as a vector of deviations, such that the
covariance of two scores on the same test images is the dot product of their vectors. The deviations of a difference of
two scores are the difference of their vectors.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

DRAWS = 200
"""Bootstrap resamples per stratum for scores without a closed form. The relative error of a standard error is 5%."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of a test set. labels: int64 [N], class of each image. of_image: int64 [N], cluster of each image.
    strata: the clusters of each stratum, which is the rarest class that a cluster has; one that would have a single
    cluster is joined with the next. digest identifies the images, if
    their ids are given."""

    labels: Ints
    of_image: Ints
    strata: tuple[Ints, ...]
    digest: str

    @classmethod
    def of(cls, labels: ArrayLike, groups: Sequence[str], ids: Sequence[str] = ()) -> Clusters:
        """Make the clusters of images with these labels (int [N]) and groups (N names). Raises ValueError for lists of
        different lengths or without images."""
        import numpy as np

        y = np.asarray(labels, np.int64)
        if len(y) != len(groups) or not len(y):
            raise ValueError(
                f"expected as many groups as labels, at least one; got {len(groups)} and {len(y)}"
            )
        names, codes = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
        counts = np.bincount(y)
        order = np.argsort(
            np.argsort(counts, kind="stable"), kind="stable"
        )  # rank of each class by its rarity
        rarest = np.full(len(names), len(counts))
        np.minimum.at(rarest, codes, order[y])
        strata = _merged([np.flatnonzero(rarest == rank) for rank in np.unique(rarest)])
        content = "\n".join(f"{a}\t{b}\t{c}" for a, b, c in zip(ids or codes, y, groups, strict=True))
        return cls(y, codes.astype(np.int64), strata, hashlib.sha256(content.encode()).hexdigest())

    @property
    def lone(self) -> bool:
        """Whether a class has the images of a single cluster, so that the variance of its scores is unknown."""
        import numpy as np

        return any(len(np.unique(self.of_image[self.labels == k])) < 2 for k in np.unique(self.labels))


@dataclass(frozen=True, eq=False)
class Deviations:
    """Deviations of a score: `vector` float64 [M]; `ends` and `df` are the end and the degrees of freedom of the part
    of each stratum. `images` identifies the test images. `least` is the smallest variance that is assumed (see
    `least_variance`)."""

    vector: Floats
    ends: tuple[int, ...]
    df: tuple[int, ...]
    images: str
    least: float = 0.0

    def minus(self, other: Deviations) -> Deviations:
        """Return the deviations of the difference of two scores. Raises ValueError if their images differ."""
        if self.images != other.images:
            raise ValueError("the scores are of different test images")
        return Deviations(
            self.vector - other.vector, self.ends, self.df, self.images, max(self.least, other.least)
        )

    def times(self, factor: float) -> Deviations:
        """Return the deviations of a multiple of the score."""
        return replace(self, vector=factor * self.vector, least=factor**2 * self.least)

    def beside(self, other: Deviations) -> Deviations:
        """Return the deviations of the sum of two scores of different, independent test images."""
        import numpy as np

        shift = len(self.vector)
        return Deviations(
            np.concatenate([self.vector, other.vector]),
            (*self.ends, *(shift + end for end in other.ends)),
            (*self.df, *other.df),
            f"{self.images} {other.images}",
            self.least + other.least,
        )


def of_influences(clusters: Clusters, influences: ArrayLike, least: float = 0.0) -> Deviations:
    """Return the deviations of a score in closed form: the limit of the cluster bootstrap for infinitely many
    resamples, with n / (n - 1) for the n clusters of a stratum.

    influences: float64 [N], how far the score moves with the weight of each image (its infinitesimal jackknife).
    """
    import numpy as np

    total = np.bincount(clusters.of_image, weights=np.asarray(influences, np.float64))
    parts = []
    for stratum in clusters.strata:
        size = len(stratum)
        centred = total[stratum] - total[stratum].mean()
        parts.append(centred * np.sqrt(size / max(size - 1, 1)))
    return _joined(clusters, parts, least)


def of_means(
    clusters: Clusters, values: ArrayLike, weights: ArrayLike, *, bounded: bool = True
) -> Deviations:
    """Return the deviations of sum_k weights[k] * (mean of `values` over the images of class k).

    values: float64 [N], one per image. weights: float64 [K], the weight of each class. bounded: whether values are in
    [0, 1].
    """
    import numpy as np

    v, w = np.asarray(values, np.float64), np.asarray(weights, np.float64)
    n = np.bincount(clusters.labels, minlength=len(w))
    means = np.bincount(clusters.labels, weights=v, minlength=len(w)) / np.maximum(n, 1)
    own = (w / np.maximum(n, 1))[clusters.labels] * (v - means[clusters.labels])
    return of_influences(clusters, own, least_variance(clusters, w) if bounded else 0.0)


def of_score(
    clusters: Clusters,
    score: Callable[[Ints], float],
    *,
    bounded: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
) -> Deviations:
    """Return the deviations of any score, by a cluster bootstrap.

    score: a function of the indices of images (int64, with repetitions) that returns the score of these images. The
    strata are resampled one after the other, each by n - 1 of its n clusters with replacement, which makes the variance
    unbiased for means. Equal clusters and seeds give equal resamples, so that scores of several runs can be compared.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    order = np.argsort(clusters.of_image, kind="stable")
    starts = np.searchsorted(clusters.of_image[order], np.arange(clusters.of_image.max() + 2))
    members = [order[a:b] for a, b in itertools.pairwise(starts)]
    parts = []
    for stratum in clusters.strata:
        inside = np.isin(clusters.of_image, stratum)
        rest = np.flatnonzero(~inside)
        found = []
        for _ in range(draws):
            drawn = rng.choice(stratum, size=max(len(stratum) - 1, 1))
            found.append(score(np.concatenate([rest, *(members[c] for c in drawn)])))
        parts.append((np.array(found) - np.mean(found)) / np.sqrt(draws - 1))
    k = int(clusters.labels.max()) + 1
    return _joined(clusters, parts, least_variance(clusters, np.full(k, 1 / k)) if bounded else 0.0)


def least_variance(clusters: Clusters, weights: Floats) -> float:
    """Return the variance of a difference of two scores in [0, 1] if no cluster told them apart, but one of two more
    might: sum_k (weights[k] / (n_k + 2))^2 over the n_k clusters with images of class k (Agresti and Min 2005). Equal
    predictions are no certainty that other images would be predicted equally too."""
    import numpy as np

    total = 0.0
    for k, weight in enumerate(weights):
        n = len(np.unique(clusters.of_image[clusters.labels == k]))
        total += float((weight / (n + 2)) ** 2) if n else 0.0
    return total


def _merged(strata: Sequence[Ints]) -> tuple[Ints, ...]:
    """Join strata of a single cluster with the next one, the last with the one before."""
    import numpy as np

    found: list[Ints] = []
    for stratum in strata:
        if found and len(found[-1]) < 2:
            found[-1] = np.concatenate([found[-1], stratum])
        else:
            found.append(stratum)
    if len(found) > 1 and len(found[-1]) < 2:
        found[-2:] = [np.concatenate(found[-2:])]
    return tuple(found)


def _joined(clusters: Clusters, parts: Sequence[Floats], least: float) -> Deviations:
    import numpy as np

    ends = tuple(int(end) for end in np.cumsum([len(part) for part in parts]))
    df = tuple(max(len(stratum) - 1, 1) for stratum in clusters.strata)
    return Deviations(np.concatenate(parts), ends, df, clusters.digest, least)
