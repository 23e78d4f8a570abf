"""Rough seconds a stage takes: only their order matters, for starting the longest first."""

from __future__ import annotations

from derm_bench.specs import Budget, ClassifierOptions, GeneratorOptions

EVALUATE = 0.5
FIDELITY = 1.0
REFERENCE = 15.0


def decode(images: int) -> float:
    return images * 0.002


def fit(options: GeneratorOptions, images: int) -> float:
    batch = getattr(options, "batch_size", 64)
    return options.budget.in_updates(max(1, images), batch) * batch * 0.003


def sample(n: int) -> float:
    return 0.2 + n * 0.001


def train(budget: Budget, options: ClassifierOptions, images: int) -> float:
    return budget.in_updates(max(1, images), options.batch_size) * options.batch_size * 0.002
