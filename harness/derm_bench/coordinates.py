"""The coordinates of table rows: the data, the strategy and the seeds that all rows of one run share.

Plans and tables use the same records, so the columns are named in one place. Imports nothing from derm_bench.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Coordinates:
    """One training set: a data set, the share of it that is used for training, a strategy and the seeds.

    `generator` is the name of the generator. If the strategy has none, it is empty and `generator_seed` is None.
    """

    dataset: str
    train_fraction: float
    strategy: str
    generator: str
    split_seed: int
    generator_seed: int | None

    def columns(self) -> dict[str, Any]:
        """The table columns of these coordinates, in the order of the tables."""
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
    """One class of a training set, or several joined by `+`. `all` means all classes without distinction."""

    class_name: str

    def columns(self) -> dict[str, Any]:
        """The columns of `Coordinates.columns`, and the class."""
        return {**Coordinates.columns(self), "class": self.class_name}


@dataclass(frozen=True, slots=True)
class CurveCoordinates:
    """The data, stage and network of one training curve. `role` is `generator` or `classifier`; `name` is the owner of
    the network (a strategy, or `strategy/classifier`); `class_name` is empty for a classifier."""

    dataset: str
    train_fraction: float
    stage: str
    role: str
    name: str
    class_name: str
    seed: int | None

    def columns(self) -> dict[str, Any]:
        """The columns of these coordinates, in the order of history.csv."""
        return {
            "dataset": self.dataset,
            "train_fraction": self.train_fraction,
            "stage": self.stage,
            "role": self.role,
            "name": self.name,
            "class": self.class_name,
            "seed": self.seed,
        }
