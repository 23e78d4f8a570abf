"""Generators. Options and spec of each are in a module of `specs`, its networks in the module that `create` names."""

from __future__ import annotations

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs import SPECS


def specs() -> list[GeneratorSpec]:
    """Every built-in generator."""
    return list(SPECS)
