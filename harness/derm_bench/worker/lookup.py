"""The plugins of a worker, as stages look them up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from derm_bench.matrix.options import compose_options
from derm_bench.plugins import Plugins


class Lookup:
    """Specs by kind and name, and values as a plugin's whole options model."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins

    def get(self, kind: str, name: str) -> Any:
        """The spec; UserError where no plugin has that name."""
        return self._plugins.get(kind, name)

    def options(self, kind: str, name: str, values: Mapping[str, Any]) -> Any:
        """Values that the planner has validated, as the model that the plugin's code expects."""
        return compose_options(self._plugins.get(kind, name)).model_validate(values)
