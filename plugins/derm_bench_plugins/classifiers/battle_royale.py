"""Battle Royale Optimisation (Rahkar Farshi 2021, Neural Computing and Applications 33, 1139-1157): a search for the
minimum of a function by soldiers that duel.

Every soldier is a point. In a round, each one in turn duels with its nearest neighbour, and the one with the larger
value is hurt:

- its damage grows by 1, and that of the winner becomes 0;
- with damage below the threshold (3) it moves towards the best point found so far, x <- x + r (best - x), with a
  uniform r in [0,1] for each coordinate;
- otherwise it dies, and appears anew in the safe zone, x <- low + r (high - low), with damage 0.

After `delta` rounds the safe zone shrinks to best - sd <= x <= best + sd within the original bounds, where sd is the
standard deviation of the soldiers in each coordinate, and `delta` grows by half. It begins at log10 of the number of
rounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch


class BattleRoyale:
    """The search. `ask` returns the next point, float64 [D], and `tell` takes the value of the function there.

    low, high: bounds, [D]. soldiers: their number, at least 2. rounds: the expected number of rounds. draws: all random
    numbers. `best` is the best point so far and `best_value` its value; NaN counts as infinite.
    """

    def __init__(
        self,
        low: torch.Tensor,
        high: torch.Tensor,
        soldiers: int,
        rounds: int,
        draws: torch.Generator,
        threshold: int = 3,
    ) -> None:
        if soldiers < 2:
            raise ValueError("a duel needs two soldiers")
        self.bounds = low.double(), high.double()
        self.low, self.high = (bound.clone() for bound in self.bounds)
        self.draws, self.threshold = draws, threshold
        self.positions = torch.stack([self._anywhere() for _ in range(soldiers)])
        self.values = torch.full((soldiers,), math.inf, dtype=torch.float64)
        self.damage = [0] * soldiers
        self.best, self.best_value = self.positions[0].clone(), math.inf
        self.evaluated, self.turn, self.round = 0, 0, 0
        self.delta = max(1, _rounded(math.log10(max(1, rounds))))
        self.pending = -1

    def ask(self) -> torch.Tensor:
        """Return the next point to evaluate: first every soldier, then the loser of one duel after another."""
        if self.pending < 0:
            self.pending = self.evaluated if self.evaluated < len(self.positions) else self._duel()
        return self.positions[self.pending].clone()

    def tell(self, value: float) -> None:
        """Take the value of the function at the point of `ask`."""
        if self.pending < 0:
            raise ValueError("tell needs the point of an ask")
        value = math.inf if math.isnan(value) else value
        self.values[self.pending] = value
        if value < self.best_value:
            self.best, self.best_value = self.positions[self.pending].clone(), value
        self.pending = -1
        self.evaluated += 1
        if self.evaluated > len(self.positions):
            self.turn += 1
            if self.turn == len(self.positions):
                self._end_round()

    def state_dict(self) -> dict[str, Any]:
        tensors = {"low": self.low, "high": self.high, "positions": self.positions, "values": self.values}
        numbers = ("best_value", "evaluated", "turn", "round", "delta", "pending")
        return {
            **{name: value.clone() for name, value in tensors.items()},
            **{name: getattr(self, name) for name in numbers},
            "best": self.best.clone(),
            "damage": list(self.damage),
            "draws": self.draws.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            if name != "draws":
                setattr(self, name, value.clone() if isinstance(value, torch.Tensor) else value)
        self.damage = list(state["damage"])
        self.draws.set_state(state["draws"])

    def nearest(self, soldier: int) -> int:
        """Return the soldier with the smallest distance to this one; coordinates are measured by their bounds."""
        span = (self.bounds[1] - self.bounds[0]).clamp(min=1e-300)
        distances = ((self.positions - self.positions[soldier]) / span).square().sum(dim=1)
        distances[soldier] = math.inf
        return int(distances.argmin())

    def _duel(self) -> int:
        """Let the soldier whose turn it is duel, move the loser and return it."""
        one, other = self.turn, self.nearest(self.turn)
        loser, winner = (one, other) if self.values[one] > self.values[other] else (other, one)
        self.damage[winner] = 0
        self.damage[loser] += 1
        if self.damage[loser] < self.threshold:
            place = self.positions[loser]
            self.positions[loser] = place + self._uniform() * (self.best - place)
        else:
            self.positions[loser] = self._anywhere()
            self.damage[loser] = 0
        return loser

    def _end_round(self) -> None:
        self.turn = 0
        self.round += 1
        if self.round >= self.delta:
            spread = self.positions.std(dim=0, correction=0)
            self.low = torch.maximum(self.best - spread, self.bounds[0])
            self.high = torch.minimum(self.best + spread, self.bounds[1])
            self.delta += max(1, _rounded(self.delta / 2))

    def _anywhere(self) -> torch.Tensor:
        return self.low + self._uniform() * (self.high - self.low)

    def _uniform(self) -> torch.Tensor:
        return torch.rand(len(self.low), generator=self.draws, dtype=torch.float64)


def _rounded(value: float) -> int:
    """Round halves up, as the paper's tool does."""
    return math.floor(value + 0.5)
