"""The grammar of a matrix: which keys are valid where, by key path through unions, lists, maps and plugin entries.

It serves the hints for unknown keys, the paths of presets and `--set`, path resolution and the JSON Schema.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from derm_bench.errors import UserError
from derm_bench.matrix.model import (
    ClassifierEntry,
    DatasetEntry,
    ExecutorUse,
    GeneratorUse,
    Matrix,
    MetricUse,
    Seeds,
)
from derm_bench.matrix.options import PluginLookup, compose_options
from derm_bench.specs import ClassifierUse, DatasetUse, PluginSpec, TransformUse

ENTRY_KINDS: dict[type[BaseModel], str] = {
    # Of two models of a kind, the schema has the second, which has the fields of the first, too.
    DatasetUse: "dataset",
    DatasetEntry: "dataset",
    GeneratorUse: "generator",
    ClassifierUse: "classifier",
    ClassifierEntry: "classifier",
    MetricUse: "metric",
    ExecutorUse: "executor",
    TransformUse: "transform",
}
"""Models of plugin entries, whose options are written flat in YAML and kept in `options` in Python."""

UNWRITTEN: dict[type[BaseModel], set[str]] = {Matrix: {"file"}, Seeds: {"together"}}
"""Fields that the loader fills in; they are not keys of the file."""

_PRESET = FieldInfo(annotation=str | None, default=None, description="a named option set of the plugin")


def written_name(name: str, info: FieldInfo) -> str:
    return info.alias or name


def entry_fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by YAML key, without the options of a plugin."""
    hidden = UNWRITTEN.get(model, set())
    fields = {
        written_name(name, info): info for name, info in model.model_fields.items() if name not in hidden
    }
    if model in ENTRY_KINDS:
        del fields["options"]
        fields["preset"] = _PRESET
    return fields


def option_fields(spec: PluginSpec) -> dict[str, FieldInfo]:
    """The fields of a plugin's options by YAML key, including those that all plugins of its kind share."""
    return {written_name(name, info): info for name, info in compose_options(spec).model_fields.items()}


def fields_of(model: type[BaseModel], raw: Any, plugins: PluginLookup) -> dict[str, FieldInfo]:
    """The fields of a model by YAML key, including the options of the plugin that `raw` names."""
    fields = entry_fields(model)
    kind = ENTRY_KINDS.get(model)
    if kind is None or not isinstance(raw, dict) or not isinstance(raw.get("name"), str):
        return fields
    try:
        spec = plugins.get(kind, raw["name"])
    except UserError:
        return fields
    return {**option_fields(spec), **fields}


def alternatives(annotation: Any) -> Iterator[Any]:
    """The members of a union, or the one type that it is; `Annotated` is removed."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from alternatives(member)
    else:
        yield annotation


def models_in(annotation: Any) -> list[type[BaseModel]]:
    return [
        member
        for member in alternatives(annotation)
        if isinstance(member, type) and issubclass(member, BaseModel)
    ]


def element_type(annotation: Any) -> Any:
    """The element type of the list or tuple among the alternatives; None without one."""
    for member in alternatives(annotation):
        if member is Any:
            return Any
        if get_origin(member) in (tuple, list, Sequence) or member in (tuple, list):
            arguments = get_args(member)
            return arguments[0] if arguments else Any
    return None


def value_type(annotation: Any) -> Any:
    """The value type of the `dict[str, X]` among the alternatives; None without one."""
    for member in alternatives(annotation):
        if member is Any:
            return Any
        if get_origin(member) is dict or member is dict:
            arguments = get_args(member)
            return arguments[1] if arguments else Any
    return None


def keys_at(annotation: Any, raw: Any, path: Sequence[str | int], plugins: PluginLookup) -> set[str]:
    """The keys that are valid at `path` below a value `raw` of type `annotation`."""
    if not path:
        return {key for model in models_in(annotation) for key in fields_of(model, raw, plugins)}
    head, rest = path[0], path[1:]
    below = child(raw, head)
    found: set[str] = set()
    for model in models_in(annotation):
        field = fields_of(model, raw, plugins).get(str(head))
        if field is not None:
            found |= keys_at(field.annotation, below, rest, plugins)
    inner = element_type(annotation) if isinstance(head, int) else value_type(annotation)
    return found | keys_at(inner, below, rest, plugins) if inner is not None else found


def child(raw: Any, key: str | int) -> Any:
    """The value under `key` of `raw`; None without one."""
    if isinstance(raw, dict):
        return raw.get(key)
    if isinstance(raw, list) and isinstance(key, int) and 0 <= key < len(raw):
        return raw[key]
    return None
