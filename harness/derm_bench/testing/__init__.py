"""The conformance kit: what every plugin must do, as rules with messages that say what to change.

    from derm_bench.testing import GeneratorConformance

    class TestMyGan(GeneratorConformance):
        plugin = "my-gan"

`derm-bench plugins test NAME_OR_PATH` applies the same rules. Names are imported when used: pytest loads the
package's pytest plugin everywhere, and should not pay for torch.
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
