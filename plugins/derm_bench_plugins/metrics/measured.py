"""Measures of two sets of features as metrics, on the features of one extractor or as a mean over networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from derm_bench.fidelity.by_network import by_network
from derm_bench.fidelity.distances import Interval

if TYPE_CHECKING:
    Floats = NDArray[np.float64]


class Measured:
    """A measure of the harness, as a metric called `name`."""

    def __init__(self, name: str, measure: Callable[..., Interval]) -> None:
        self.name = name
        self.measure = measure

    def compute(self, real: Floats, synthetic: Floats) -> dict[str, float]:
        """Return the value for features [N,D] and [M,D]."""
        return {self.name: self._of(real, synthetic, groups=0).value}

    def intervals(self, real: Floats, synthetic: Floats) -> dict[str, Interval]:
        """Return the value with its jackknife interval."""
        return {self.name: self._of(real, synthetic)}

    def _of(self, real: Floats, synthetic: Floats, **options: int) -> Interval:
        return self.measure(real, synthetic, **options)


class MeasuredByNetwork(Measured):
    """The mean of a measure over the reference networks. The bounds of its interval are the means of the bounds, which
    is right if the networks err alike, and too wide if they do not."""

    def _of(self, real: Floats, synthetic: Floats, **options: int) -> Interval:
        pairs = zip(by_network(real), by_network(synthetic), strict=True)
        found = [self.measure(x, y, **options) for x, y in pairs]
        return Interval(*(float(np.mean(values)) for values in zip(*found, strict=True)))
