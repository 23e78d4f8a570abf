"""The built-in data sets. Only options and specs are imported here; the module that `create` names is imported when the
data set is used."""

from __future__ import annotations

from derm_bench.specs import DatasetSpec
from derm_bench_plugins.datasets.specs import SPECS


def specs() -> list[DatasetSpec]:
    """Return the specs of all built-in data sets."""
    return list(SPECS)
