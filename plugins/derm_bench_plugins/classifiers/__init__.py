"""Classifiers. Options and spec of each are in a module of `specs`, its network in the module that `create` names."""

from __future__ import annotations

from derm_bench.specs import ClassifierSpec
from derm_bench_plugins.classifiers.specs import SPECS


def specs() -> list[ClassifierSpec]:
    """Every built-in classifier."""
    return list(SPECS)
