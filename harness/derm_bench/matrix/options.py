"""A plugin's whole options model: its own fields beside those that all plugins of its kind share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Protocol, cast

from pydantic import BaseModel, ConfigDict

from derm_bench.specs import (
    Budget,
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

    A field that the plugin declares again keeps the plugin's type and default. Where the spec says `trains=False`,
    the options of training are no fields, so that writing one is an error; as attributes of the model they have the
    values that the harness goes by.
    """
    model = _compose(spec.options, _common(spec))
    if isinstance(spec, GeneratorSpec | ClassifierSpec) and not spec.trains:
        return _without_training(model, spec.options, _common(spec))
    return model


def unused_options(model: type[BaseModel]) -> frozenset[str]:
    """Names of the shared options that `compose_options` left out of a model because its plugin trains nothing."""
    return getattr(model, "unused_options", frozenset())


@cache
def _without_training(model: type[BaseModel], own: type[BaseModel], common: type[Options]) -> type[BaseModel]:
    """The model without the fields of training, which become class attributes."""
    values: dict[str, Any] = {"unused_options": frozenset(), **_training_options(own, common)}
    values["unused_options"] = frozenset(values) - {"unused_options"}
    body = {
        # A class variable takes the place of the field of that name in the parent model.
        "__annotations__": dict.fromkeys(values, ClassVar[Any]),
        "__module__": own.__module__,
        "__doc__": own.__doc__,
    }
    return cast(type[BaseModel], type(own.__name__, (model,), {**body, **values}))


def _training_options(own: type[BaseModel], common: type[Options]) -> Mapping[str, Any]:
    """The options of training, and the values that the harness reads where a plugin has none of them."""
    if common is GeneratorOptions:
        return {"budget": Budget(updates=1), "augment": ()}
    return {
        name: field.default for name, field in common.model_fields.items() if name not in own.model_fields
    }


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
