"""The interval of a mean over runs, or of a mean paired difference, from the values of the runs and their images.

A mean over S seeds on one test set varies with the seeds and with the images. The variance s^2 over seeds, on the same
images, measures the seeds and how each seed happens to suit these images; it does not contain what all seeds have in
common on these images. The covariance of two different seeds under resampling of the images measures exactly that.
So each source counts once:

    V = s^2 / S + mean covariance of two different seeds under resampling of clusters

with Student's t at Satterthwaite's degrees of freedom. (The variance of the seed-averaged difference under resampling
contains 1 / S of the second part of s^2 again. In simulations its whole value makes the interval up to 1.2 times as
wide; see docs/statistics.md.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from derm_bench.stats.seeds import Component, nadeau_bengio, over_axes, satterthwaite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from derm_bench.stats.test_images import Deviations

    Floats = NDArray[np.float64]

FEWEST = 3
"""The fewest seeds, or splits, of an interval: with two, Student's t has one degree of freedom."""

TEST = "test"
"""The name of the part of the variance that all runs have in common on these test images."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its variance and degrees of freedom. parts: the parts of the variance, by source: the name of each
    axis of seeds, and `test`."""

    mean: float
    variance: float
    df: float
    parts: Mapping[str, float] = field(default_factory=dict)

    def interval(
        self, alpha: float, lowest: float = -float("inf"), highest: float = float("inf")
    ) -> tuple[float, float]:
        """Return the interval with coverage 1 - alpha, cut at the range of the quantity."""
        from scipy.special import stdtrit

        half = float(stdtrit(self.df, 1 - alpha / 2)) * self.variance**0.5
        return max(lowest, self.mean - half), min(highest, self.mean + half)

    @property
    def p_value(self) -> float:
        """The two-sided p value of the mean being zero."""
        from scipy.special import stdtr

        return min(1.0, 2 * float(stdtr(self.df, -abs(self.mean) / self.variance**0.5)))


def estimate(
    values: ArrayLike,
    levels: Mapping[str, Sequence[int]],
    deviations: Sequence[Deviations | None] = (),
) -> Estimate | None:
    """Return the estimate of the mean of `values` (float64 [R]) over runs on one split; None if it has no variance.

    levels: by axis of seeds (`seed`; or `generator` and `classifier`, crossed), the level of each run, at least two
    levels per axis. deviations: those of each run on the same test images; none means that the test set is not taken to
    vary, and the interval is about these test images.
    """
    import numpy as np

    x = np.asarray(values, np.float64)
    at = np.stack([np.asarray(level) for level in levels.values()], axis=1)
    parts = over_axes(x, at)
    sources = dict(zip(levels, parts, strict=True))
    least = 0.0
    known = [each for each in deviations if each is not None]
    if known:
        test, noise = _shared(known, at)
        parts, sources = _with_floor(parts, sources, 0.5 * noise / len(x))
        sources[TEST] = test
        least = max(each.least for each in known)
    total = satterthwaite(list(sources.values()))
    variance = max(total.variance, least)
    if _nothing(variance, x):
        return None
    return Estimate(
        float(x.mean()), variance, total.df, {name: part.variance for name, part in sources.items()}
    )


def over_splits(
    values: ArrayLike, splits: Sequence[int], ratio: float, deviations: Sequence[Deviations | None] = ()
) -> Estimate | None:
    """Return the estimate of the mean over repeated splits or folds, at least two; None if it has no variance.

    The values of a split are averaged first; their mean has the corrected variance of Nadeau and Bengio, which contains
    the sampling of the test images, as each split has its own. If all splits are scored on the same (external) test
    images, the covariance of two different splits under resampling of these images is added.
    """
    import numpy as np

    x, at = np.asarray(values, np.float64), np.asarray(splits)
    names = np.unique(at)
    part = nadeau_bengio([x[at == name].mean() for name in names], ratio)
    sources = {"split": part}
    known = [each for each in deviations if each is not None]
    least = max((each.least for each in known), default=0.0)
    if known and len({each.images for each in known}) == 1:
        sources[TEST], _ = _shared(known, at[:, None])
    total = satterthwaite(list(sources.values()))
    variance = max(total.variance, least / len(names))
    if _nothing(variance, x):
        return None
    mean = float(np.mean([x[at == name].mean() for name in names]))
    return Estimate(mean, variance, total.df, {name: one.variance for name, one in sources.items()})


def _nothing(variance: float, values: Floats) -> bool:
    """Whether a variance is zero, up to the rounding of the values."""
    return not variance > (1e-13 * max(1.0, float(abs(values).max()))) ** 2


def _shared(known: Sequence[Deviations], at: NDArray[np.int64]) -> tuple[Component, float]:
    """Return the variance that runs without a common seed share on these images, and the mean variance of a single run
    beyond it."""
    import numpy as np

    vectors = np.stack([each.vector for each in known])
    apart = (at[:, None, :] != at[None, :, :]).all(-1)
    ends = known[0].ends
    parts, own = [], 0.0
    for start, end, df in zip((0, *ends[:-1]), ends, known[0].df, strict=True):
        covariance = vectors[:, start:end] @ vectors[:, start:end].T
        parts.append(Component(float(covariance[apart].mean()) if apart.any() else 0.0, df))
        own += float(np.diag(covariance).mean())
    shared = sum(part.variance for part in parts)
    positive = [Component(max(0.0, part.variance), part.df) for part in parts]
    return Component(max(0.0, shared), satterthwaite(positive).df), max(0.0, own - max(0.0, shared))


def _with_floor(
    parts: list[Component], sources: dict[str, Component], floor: float
) -> tuple[list[Component], dict[str, Component]]:
    """Raise the parts of the seeds to at least `floor` together: half of what the images alone make single runs differ.
    Equal values of a few seeds are a coincidence of rounding, and no certainty."""
    total = sum(part.variance for part in parts)
    if total >= floor:
        return parts, sources
    name = max(sources, key=lambda one: sources[one].variance)
    raised = Component(sources[name].variance + floor - total, sources[name].df)
    return parts, sources | {name: raised}
