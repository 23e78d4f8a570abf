"""Options of plugins in a matrix: the base of every options model, and the options that all plugins of a kind share.

There is one module per kind, so that a new option of classifiers does not change the keys of generators.
"""

from __future__ import annotations

from derm_bench.options.base import Budget, Options
from derm_bench.options.classifier import ClassifierOptions
from derm_bench.options.generator import GeneratorOptions
from derm_bench.options.uses import ClassifierUse, TransformUse

__all__ = ["Budget", "ClassifierOptions", "ClassifierUse", "GeneratorOptions", "Options", "TransformUse"]
