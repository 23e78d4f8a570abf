"""A plugin's whole options model: its own fields beside those that all plugins of its kind share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol, cast

from pydantic import BaseModel, ConfigDict

from derm_bench.specs import (
    ClassifierOptions,
    ClassifierSpec,
    GeneratorOptions,
    GeneratorSpec,
    Options,
    PluginSpec,
)


class PluginLookup(Protocol):
    """What the matrix needs of the plugin manager: specs by kind and name."""

    def get(self, kind: str, name: str) -> Any:
        """The spec; UserError with a hint when no plugin of `kind` has that name."""
        ...

    def names(self, kind: str) -> Sequence[str]: ...


def compose_options(spec: PluginSpec) -> type[BaseModel]:
    """The model that validates what a matrix writes under the plugin: unknown keys refused, frozen.

    A field that the plugin declares again keeps the plugin's type and default.
    """
    return _compose(spec.options, _common(spec))


def _common(spec: PluginSpec) -> type[Options]:
    if isinstance(spec, GeneratorSpec):
        return GeneratorOptions
    if isinstance(spec, ClassifierSpec):
        return ClassifierOptions
    return Options


@cache
def _compose(own: type[BaseModel], common: type[Options]) -> type[BaseModel]:
    if issubclass(own, common):
        return own
    if issubclass(common, own):
        return common
    body = {
        "model_config": ConfigDict(extra="forbid", frozen=True),
        "__module__": own.__module__,
        "__doc__": own.__doc__,
    }
    return cast(type[BaseModel], type(own.__name__, (own, common), body))
