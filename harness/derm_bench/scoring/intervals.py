"""Student's t interval of a mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def t_interval(values: ArrayLike, alpha: float = 0.05) -> tuple[float, float, int, float, float]:
    """Return (mean, sample standard deviation, n, low, high), with Student's t on n - 1 degrees of freedom.

    For a single value, the standard deviation and the bounds are NaN. If a value is NaN, all results but n are NaN.
    """
    import numpy as np
    from scipy.special import stdtrit

    x = np.asarray(values, np.float64)
    n = len(x)
    mean = float(x.mean()) if n else math.nan
    if n < 2:
        return mean, math.nan, n, math.nan, math.nan
    std = float(x.std(ddof=1))
    half = float(stdtrit(n - 1, 1 - alpha / 2)) * std / math.sqrt(n)
    return mean, std, n, mean - half, mean + half
