"""Lookup of plugins in a worker, as stages need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from derm_bench.matrix.options import compose_options, validated_parts
from derm_bench.plugins import Plugins


class Lookup:
    """Looks up specs by kind and name, and creates the options of plugins."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins

    def get(self, kind: str, name: str) -> Any:
        """The spec of a plugin. Raises UserError if there is none of that name."""
        return self._plugins.get(kind, name)

    def options(self, kind: str, name: str, values: Mapping[str, Any]) -> Any:
        """Creates the options model of a plugin from values that the planner has validated."""
        options = compose_options(self._plugins.get(kind, name)).model_validate(values)
        if kind != "dataset":
            return options
        return validated_parts(options, lambda part, given: self.options("dataset", part, given))
