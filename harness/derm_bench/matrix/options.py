"""Composes the options model of a plugin: its own fields and those that all plugins of its kind share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Protocol, cast

from pydantic import BaseModel, ConfigDict

from derm_bench.options.pretrained import TrainedOn, weights_options
from derm_bench.specs import (
    Budget,
    ClassifierOptions,
    ClassifierSpec,
    DatasetUse,
    GeneratorOptions,
    GeneratorSpec,
    Options,
    PluginSpec,
)


class PluginLookup(Protocol):
    """The part of the plugin manager that the matrix needs: specs by kind and name."""

    def get(self, kind: str, name: str) -> Any:
        """The spec. Raises UserError with a hint if no plugin of `kind` has that name."""
        ...

    def names(self, kind: str) -> Sequence[str]: ...


def compose_options(spec: PluginSpec) -> type[BaseModel]:
    """The model that validates the options of a plugin in a matrix. It refuses unknown keys and is frozen.

    A field that the plugin declares again keeps the plugin's type and default. If the spec has `trains=False`, options
    of training are not fields, so that setting one is an error; the harness reads their values as class attributes.
    """
    model = _compose(spec.options, _common(spec))
    if states_weights(spec):
        model = _with_statement(model)
    if isinstance(spec, GeneratorSpec | ClassifierSpec) and not spec.trains:
        return _without_training(model, spec.options, _common(spec))
    return model


def validated_parts(options: BaseModel, validate: Callable[[str, Mapping[str, Any]], Any]) -> BaseModel:
    """The options of a data set with those of its parts as models: `validate(name, values)` makes them of JSON."""
    changed: dict[str, Any] = {}
    for name in type(options).model_fields:
        value = getattr(options, name)
        if isinstance(value, tuple) and any(isinstance(use, DatasetUse) for use in value):
            changed[name] = tuple(
                use
                if isinstance(use.options, BaseModel)
                else use.model_copy(update={"options": validate(use.name, use.options or {})})
                for use in value
            )
    return options.model_copy(update=changed) if changed else options


def states_weights(spec: PluginSpec) -> bool:
    """Whether the harness adds options that state what the weights of a generator were trained on (`TrainedOn`): a
    plugin that starts from weights and states nothing itself takes them."""
    return (
        isinstance(spec, GeneratorSpec)
        and spec.provenance is None
        and bool(weights_options(spec.options))
        and not set(TrainedOn.model_fields) & set(spec.options.model_fields)
    )


@cache
def _with_statement(model: type[BaseModel]) -> type[BaseModel]:
    return _compose(model, TrainedOn)


def unused_options(model: type[BaseModel]) -> frozenset[str]:
    """Names of the shared options that `compose_options` has left out because the plugin trains nothing."""
    return getattr(model, "unused_options", frozenset())


@cache
def _without_training(model: type[BaseModel], own: type[BaseModel], common: type[Options]) -> type[BaseModel]:
    """The model with the options of training turned from fields into class attributes."""
    values: dict[str, Any] = {"unused_options": frozenset(), **_training_options(own, common)}
    values["unused_options"] = frozenset(values) - {"unused_options"}
    body = {
        # A class variable replaces the field of the same name in the parent model.
        "__annotations__": dict.fromkeys(values, ClassVar[Any]),
        "__module__": own.__module__,
        "__doc__": own.__doc__,
    }
    return cast(type[BaseModel], type(own.__name__, (model,), {**body, **values}))


def _training_options(own: type[BaseModel], common: type[Options]) -> Mapping[str, Any]:
    """The options of training, with the values that the harness uses for a plugin that trains nothing."""
    if common is GeneratorOptions:
        return {"budget": Budget(updates=1), "augment": (), "balance": False}
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
