"""The built-in data sets. Only options and specs are imported here; `create` is followed when one is used."""

from __future__ import annotations

from derm_bench.specs import DatasetSpec
from derm_bench_plugins.datasets.specs import SPECS


def specs() -> list[DatasetSpec]:
    """Every built-in data set."""
    return list(SPECS)
