"""The conformance kit: rules that every plugin must follow, with messages that explain what to change.

    from derm_bench.testing import GeneratorConformance

    class TestMyGan(GeneratorConformance):
        plugin = "my-gan"

`derm-bench plugins test NAME_OR_PATH` applies the same rules. Names are imported lazily, because every
pytest process loads the pytest plugin of this package and should not import torch for it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from derm_bench.testing.rules import ConformanceError, ConformanceWarning, NotApplicable

if TYPE_CHECKING:
    from derm_bench.testing.classes import (
        ClassifierConformance,
        DatasetConformance,
        GeneratorConformance,
        MetricConformance,
        TransformConformance,
    )

__all__ = [
    "ClassifierConformance",
    "ConformanceError",
    "ConformanceWarning",
    "DatasetConformance",
    "GeneratorConformance",
    "MetricConformance",
    "NotApplicable",
    "TransformConformance",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("derm_bench.testing.classes"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
