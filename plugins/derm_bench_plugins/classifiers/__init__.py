"""The built-in classifiers. `specs` has one module per classifier with its options and its spec; the field `create` of
the spec names the module of the network."""

from __future__ import annotations

from derm_bench.specs import ClassifierSpec
from derm_bench_plugins.classifiers.specs import SPECS


def specs() -> list[ClassifierSpec]:
    """Return the specs of all built-in classifiers."""
    return list(SPECS)
