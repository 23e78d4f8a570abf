"""The variance of a mean over runs that differ in their seeds, for one axis of seeds and for crossed ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Component(NamedTuple):
    """A part of the variance of a mean, with the degrees of freedom of its estimate."""

    variance: float
    df: float


def satterthwaite(parts: Sequence[Component]) -> Component:
    """Return the sum of independent parts, with Satterthwaite's degrees of freedom: (sum w)^2 / sum(w^2 / df).

    w is the variance of a part times 1 + 4 / df. With w = v alone, a part of two or three degrees of freedom that is
    small by chance makes the sum look well known, and equal arms of three seeds differ in up to 7.7% of the runs
    instead of 5%. Parts of zero variance do not count; without any other part the result has the largest df.
    """
    total = sum(part.variance for part in parts)
    weights = [part.variance * (1 + 4 / part.df) for part in parts]
    below = sum(weight**2 / part.df for weight, part in zip(weights, parts, strict=True))
    if not below:
        return Component(0.0, max((part.df for part in parts), default=1.0))
    return Component(total, sum(weights) ** 2 / below)


def over_one_axis(values: ArrayLike) -> Component:
    """Return s^2 / n, on n - 1 degrees of freedom, of n >= 2 values."""
    import numpy as np

    x = np.asarray(values, np.float64)
    return Component(float(x.var(ddof=1)) / len(x), len(x) - 1)


def over_axes(values: ArrayLike, levels: ArrayLike) -> list[Component]:
    """Return the part of each axis in the variance of the mean of `values` (float64 [R]).

    levels: int [R,A], the level of each run on each axis, at least two levels per axis. The part of an axis is s^2 / n
    over the means of its n levels. In a complete crossed design these parts contain what no single axis explains (the
    interaction, with the noise of single runs) once per axis instead of once: it is taken from the smaller part, as far
    as that goes.
    """
    import numpy as np

    x, at = np.asarray(values, np.float64), np.asarray(levels)
    parts = [over_one_axis(_level_means(x, at[:, axis])) for axis in range(at.shape[1])]
    sizes = [len(np.unique(at[:, axis])) for axis in range(at.shape[1])]
    if len(parts) != 2 or len(np.unique(at, axis=0)) != np.prod(sizes) or len(x) != np.prod(sizes):
        return parts
    table = np.zeros(sizes)
    table[tuple(np.unique(at[:, axis], return_inverse=True)[1] for axis in (0, 1))] = x
    rest = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    noise = float((rest**2).sum() / ((sizes[0] - 1) * (sizes[1] - 1)) / len(x))
    least = min((0, 1), key=lambda axis: parts[axis].variance)
    parts[least] = Component(max(0.0, parts[least].variance - noise), parts[least].df)
    return parts


def nadeau_bengio(split_means: ArrayLike, ratio: float) -> Component:
    """Return the variance of the mean over J >= 2 repeated splits, corrected for training sets that overlap:
    (1/J + ratio) s^2, on J - 1 degrees of freedom (Nadeau and Bengio 2003).

    ratio: test images / training images. With k folds it is 1 / (k - 1).
    """
    import numpy as np

    x = np.asarray(split_means, np.float64)
    return Component((1 / len(x) + ratio) * float(x.var(ddof=1)), len(x) - 1)


def _level_means(values: ArrayLike, level: ArrayLike) -> list[float]:
    import numpy as np

    x, at = np.asarray(values, np.float64), np.asarray(level)
    return [float(x[at == one].mean()) for one in np.unique(at)]
