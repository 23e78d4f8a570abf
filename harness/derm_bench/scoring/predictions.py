"""Predictions: the labels and probabilities that metrics are computed from, checked once.

A metric of the whole test set is a function `(Predictions) -> float`, and a metric of a single class is a function
`(Predictions, k) -> float`. Undefined values are NaN. A module with metrics imports no other metrics, so that a stage
depends only on its primary metric. This module does not import numpy at the top level.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from derm_bench.errors import Diverged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions for a test set. Create them with `checked`.

    labels: int64 [N], indices into `classes`. proba: float64 [N,K], whose rows sum to 1. val_labels, val_proba: the
    same for the validation images, which determine thresholds, or None. The predicted class is the first class with the
    largest probability.
    """

    labels: Ints
    proba: Floats
    classes: tuple[str, ...]
    val_labels: Ints | None = None
    val_proba: Floats | None = None
    _computed: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def checked(
        cls,
        labels: ArrayLike,
        proba: ArrayLike,
        classes: Sequence[str],
        val_labels: ArrayLike | None = None,
        val_proba: ArrayLike | None = None,
    ) -> Predictions:
        """Create predictions from array-likes. Raises Diverged for NaN or infinite probabilities, and ValueError for
        invalid shapes or values."""
        import numpy as np

        y, p = _checked(labels, proba, len(classes))
        if val_labels is None or val_proba is None or not np.size(val_labels):
            return cls(y, p, tuple(classes))
        return cls(y, p, tuple(classes), *_checked(val_labels, val_proba, len(classes)))

    def once(self, function: Callable[..., T], *arguments: Any) -> T:
        """Return `function(self, *arguments)`, cached after the first call, for results that several metrics share."""
        key = (function, *arguments)
        if key not in self._computed:
            self._computed[key] = function(self, *arguments)
        found: T = self._computed[key]
        return found


def metric_at(path: str, k: int | None = None) -> Callable[[Predictions], float]:
    """Return the metric function at the import path `module:function`, bound to class `k` if it is a class metric."""
    module, _, name = path.partition(":")
    function = getattr(importlib.import_module(module), name)
    return function if k is None else lambda predictions: function(predictions, k)


def mean(values: Sequence[float]) -> float:
    """Return the exactly rounded mean; NaN for an empty sequence."""
    return math.fsum(values) / len(values) if values else math.nan


def _checked(labels: ArrayLike, proba: ArrayLike, k: int) -> tuple[Ints, Floats]:
    import numpy as np

    y, p = np.asarray(labels), np.asarray(proba, np.float64)
    if p.ndim != 2 or p.shape[1] != k or y.shape != p.shape[:1] or not len(y):
        raise ValueError(
            f"expected labels [N] and probabilities [N,{k}], N >= 1; got {y.shape} and {p.shape}"
        )
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= k:
        raise ValueError(f"labels must be integers from 0 to {k - 1}")
    broken = ~np.isfinite(p).all(1)
    if broken.any():
        raise Diverged(f"probabilities of {int(broken.sum())} of {len(p)} images are NaN or infinite")
    sums = p.sum(1)
    if p.min() < 0 or np.abs(sums - 1).max() > 1e-4:
        worst = float(sums[np.abs(sums - 1).argmax()])
        raise ValueError(
            f"each row of probabilities must be >= 0 and sum to 1; lowest {p.min():.6g}, sum {worst:.6g}"
        )
    return y.astype(np.int64), p
