"""Selection on validation images: when to evaluate a training, which state to keep, and when to stop early."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from derm_bench.images import ImageSet

Score = Callable[[np.ndarray, np.ndarray, Sequence[str]], float]
"""(labels int64 [N], probabilities float64 [N,K], groups of the N images) -> the primary metric, possibly NaN."""


def balanced_accuracy(labels: np.ndarray, proba: np.ndarray, groups: Sequence[str] = ()) -> float:
    """Return the mean recall of the classes that have images."""
    predicted = proba.argmax(axis=1)
    return float(np.mean([np.mean(predicted[labels == k] == k) for k in np.unique(labels)]))


@dataclass(frozen=True, eq=False)
class Selection:
    """Options for how the state of a classifier is selected.

    val: the validation images; if there are none, nothing is evaluated or selected. metric: the primary metric, named
    `name` in the curves. higher_is_better: its direction. mode: `best` keeps the state with the best score, `last` the
    last state. evaluations: number of equal parts of the budget, each of which ends with an evaluation. patience:
    number of evaluations without improvement after which training stops (unmatched budgets only).
    """

    val: ImageSet | None = None
    metric: Score = balanced_accuracy
    name: str = "balanced_accuracy"
    higher_is_better: bool = True
    mode: Literal["best", "last"] = "best"
    evaluations: int = 10
    patience: int | None = None


class Selector:
    """The best score so far, with its update and the state kept at that update.

    best_score: NaN until an evaluation returns a number. best_step: 0 until then.
    """

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.best_score, self.best_step = math.nan, 0
        self.kept: Any | None = None
        self._without_improvement = 0

    def offer(self, step: int, score: float, state: Callable[[], Any]) -> None:
        """Compare the score of update `step` with the best so far, and keep `state()` if it is better. Of equal scores,
        the first is kept; NaN is never better."""
        self._without_improvement += 1
        if self._improves(score):
            self.best_score, self.best_step, self._without_improvement = score, step, 0
            if self.selection.mode == "best":
                self.kept = state()

    @property
    def patience_is_spent(self) -> bool:
        patience = self.selection.patience
        return patience is not None and self._without_improvement >= patience

    def state(self) -> dict[str, Any]:
        """Return all state that evaluations change."""
        return {
            "kept": self.kept,
            "best_score": self.best_score,
            "best_step": self.best_step,
            "without_improvement": self._without_improvement,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the output of `state`."""
        self.kept, self._without_improvement = state["kept"], state["without_improvement"]
        self.best_score, self.best_step = state["best_score"], state["best_step"]

    def _improves(self, score: float) -> bool:
        if math.isnan(score) or math.isnan(self.best_score):
            return not math.isnan(score)
        return score > self.best_score if self.selection.higher_is_better else score < self.best_score


def evaluation_steps(budget: int, evaluations: int) -> frozenset[int]:
    """Return `evaluations` updates spread evenly over the budget, including the last; all updates if there are
    fewer."""
    return frozenset(max(1, round(budget * k / evaluations)) for k in range(1, evaluations + 1))


def log_loss(labels: np.ndarray, proba: np.ndarray) -> float:
    """Return the mean of -ln p[label], with p clipped at 1e-12, for the validation curve."""
    return float(-np.log(np.clip(proba[np.arange(len(labels)), labels], 1e-12, 1.0)).mean())
