"""Where a row of a table belongs: the data, the strategy and the seeds that all rows of one run share.

Plans and tables use the same records, so that a column is named, and a value handed on, in one place. Imports nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Coordinates:
    """One training set: a data set, the share of it that is trained on, a strategy and the seeds.

    `generator` is the generator's name, empty where the strategy has none; `generator_seed` is None there.
    """

    dataset: str
    train_fraction: float
    strategy: str
    generator: str
    split_seed: int
    generator_seed: int | None

    def columns(self) -> dict[str, Any]:
        """The columns that these coordinates fill, in the order of the tables."""
        return {
            "dataset": self.dataset,
            "train_fraction": self.train_fraction,
            "strategy": self.strategy,
            "generator": self.generator,
            "split_seed": self.split_seed,
            "generator_seed": self.generator_seed,
        }


@dataclass(frozen=True, slots=True)
class ClassCoordinates(Coordinates):
    """One class, or several joined by `+`, of a training set. `all` stands for all classes, not told apart."""

    class_name: str

    def columns(self) -> dict[str, Any]:
        """As `Coordinates.columns`, and the class."""
        return {**Coordinates.columns(self), "class": self.class_name}


@dataclass(frozen=True, slots=True)
class CurveCoordinates:
    """One training curve: of which data, stage and network. `role` is `generator` or `classifier`; `name` says whose
    network it is (a strategy, or `strategy/classifier`); `class_name` is empty for a classifier."""

    dataset: str
    train_fraction: float
    stage: str
    role: str
    name: str
    class_name: str
    seed: int | None

    def columns(self) -> dict[str, Any]:
        """The columns that these coordinates fill, in the order of history.csv."""
        return {
            "dataset": self.dataset,
            "train_fraction": self.train_fraction,
            "stage": self.stage,
            "role": self.role,
            "name": self.name,
            "class": self.class_name,
            "seed": self.seed,
        }
