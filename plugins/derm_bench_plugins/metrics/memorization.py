"""The metrics of the memorization screen: nn_ratio, with nn_closer, and authenticity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derm_bench.fidelity import memorization
from derm_bench.fidelity.distances import GROUPS, Interval
from derm_bench.fidelity.memorization import RESAMPLES

if TYPE_CHECKING:
    from derm_bench.specs import Task

Floats = NDArray[np.float64]


class _Screened:
    """A metric of features of samples [Q,D], of training images [N,D] and of held-out images [M,D], whose lesions or
    patients are `groups`."""

    def __init__(self, options: Any, task: Task) -> None:
        pass

    def compute(
        self, samples: Floats, train: Floats, held_out: Floats, groups: Sequence[str]
    ) -> dict[str, float]:
        """Return the values."""
        found = self._values(samples, train, held_out, groups, 0)
        return {name: interval.value for name, interval in found.items()}

    def intervals(
        self, samples: Floats, train: Floats, held_out: Floats, groups: Sequence[str]
    ) -> dict[str, Interval]:
        """Return the values with their intervals."""
        return self._values(samples, train, held_out, groups, GROUPS)

    def _values(
        self, samples: Floats, train: Floats, held_out: Floats, groups: Sequence[str], jackknifed: int
    ) -> dict[str, Interval]:
        raise NotImplementedError


class NearestRatio(_Screened):
    """nn_ratio, and nn_closer."""

    def _values(
        self, samples: Floats, train: Floats, held_out: Floats, groups: Sequence[str], jackknifed: int
    ) -> dict[str, Interval]:
        apart = memorization.apart
        to_train, to_control = apart(samples, train), apart(samples, held_out)
        among = apart(held_out, train), apart(held_out, held_out)
        return {
            "nn_ratio": memorization.nn_ratio(
                to_train, to_control, *among, groups, resamples=RESAMPLES if jackknifed else 0
            ),
            "nn_closer": memorization.nn_closer(to_train, to_control, jackknifed),
        }


class Authenticity(_Screened):
    """authenticity."""

    def _values(
        self, samples: Floats, train: Floats, held_out: Floats, groups: Sequence[str], jackknifed: int
    ) -> dict[str, Interval]:
        to_train = memorization.apart(samples, train)
        return {"authenticity": memorization.authenticity(to_train, train, jackknifed)}
