"""Coordinates of rows in tables: the data, strategy and seeds that they belong to.

Plans and tables use the same records, so that each column is named in one place. Imports nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Coordinates:
    """One training set: a data set, the share of its training images, a strategy and the seeds.

    `generator` is the name of the generator. Without one it is empty and `generator_seed` is None.
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
    """One class, or several joined by `+`, of a training set. `all` is for a generator that does not distinguish
    them."""

    class_name: str

    def columns(self) -> dict[str, Any]:
        """The columns of `Coordinates.columns`, and the class."""
        return {**Coordinates.columns(self), "class": self.class_name}


@dataclass(frozen=True, slots=True)
class CurveCoordinates:
    """One training curve: its data, stage and network. `role` is `generator` or `classifier`; `name` is the strategy,
    or `strategy/classifier`, that the network belongs to; `class_name` is empty for a classifier."""

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
