"""A measure of two sets of features as a metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch

from derm_bench.errors import NoValue
from derm_bench.fidelity.distances import Interval

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class Measured:
    """A measure of the harness, as a metric called `name`, with options of the measure. It has no value for fewer than
    `fewest` images per side."""

    def __init__(
        self,
        name: str,
        measure: Callable[..., Interval],
        fewest: int = 2,
        options: Mapping[str, int] | None = None,
    ) -> None:
        self.name = name
        self.measure = measure
        self.fewest = fewest
        self.options = dict(options or {})

    def compute(self, real: Floats, synthetic: Floats) -> dict[str, float]:
        """Return the value for features [N,D] and [M,D]."""
        return {self.name: self._of(real, synthetic, groups=0).value}

    def intervals(self, real: Floats, synthetic: Floats) -> dict[str, Interval]:
        """Return the value with its jackknife interval."""
        return {self.name: self._of(real, synthetic)}

    def _of(self, real: Floats, synthetic: Floats, **options: int) -> Interval:
        found = min(len(real), len(synthetic))
        if found < self.fewest:
            raise NoValue(f"at least {self.fewest} images per side are needed, not {found}")
        try:
            return self.measure(real, synthetic, **self.options, **options)
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
            raise NoValue(f"the features have no decomposition: {str(error).splitlines()[0]}") from error
