"""Options as a matrix writes them: the base of every options model, and what all plugins of a kind share.

One module per kind, so that an option added to classifiers changes the identity of no generator.
"""

from __future__ import annotations

from derm_bench.options.base import Budget, Options
from derm_bench.options.classifier import ClassifierOptions
from derm_bench.options.generator import GeneratorOptions
from derm_bench.options.uses import ClassifierUse, TransformUse

__all__ = ["Budget", "ClassifierOptions", "ClassifierUse", "GeneratorOptions", "Options", "TransformUse"]
