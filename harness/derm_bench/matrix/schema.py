"""JSON Schema (draft 2020-12) of a matrix file, with the options of every installed plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema

from derm_bench.matrix.grammar import ENTRY_KINDS, UNWRITTEN
from derm_bench.matrix.model import ClassifierEntry, DatasetEntry, Matrix, StrategyEntry, TestSet
from derm_bench.matrix.options import PluginLookup, compose_options
from derm_bench.specs import TransformUse

Schema = dict[str, Any]

_SWEEP: Schema = {
    "description": "a map of option paths to lists of values (their product), or a list of points",
    "oneOf": [
        {"type": "object", "additionalProperties": {"type": "array", "minItems": 1}},
        {"type": "array", "items": {"type": "object"}, "minItems": 1},
    ],
}
_SWEPT = (DatasetEntry, StrategyEntry, ClassifierEntry)
_PRESET: Schema = {"type": "string", "description": "a named option set of the plugin"}
_HIDDEN = {model.__name__: names for model, names in UNWRITTEN.items()}
_SHARED = {model.__name__: kind for model, kind in ENTRY_KINDS.items()} | {
    "StrategyEntry": "strategy",
    "TestSet": "test_set",
}
"""Definitions that are shared in the schema, by the name of their model."""


def json_schema(plugins: PluginLookup) -> Schema:
    """The schema of a matrix file. It cannot express rules across entries, which `plan` checks."""
    definitions: Schema = {}
    for model, kind in ENTRY_KINDS.items():
        definitions[kind] = _plugin_entry(model, kind, plugins, definitions)
    for name, model in (("strategy", StrategyEntry), ("test_set", TestSet)):
        definitions[name] = {"anyOf": [{"type": "string"}, {**_entry(model, {}), "required": ["name"]}]}
    properties = _properties(Matrix)
    properties |= {
        "dataset": _ref("dataset"),
        "protocol": {"anyOf": [{"enum": ["fair", "paper"]}, properties["protocol"]]},
        "seeds": {
            "anyOf": [{"type": "array", "items": {"type": "integer", "minimum": 0}}, properties["seeds"]]
        },
        "presets": {"type": "object", "additionalProperties": {"type": "object"}},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "derm-bench matrix",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "required": ["strategies"],
        "oneOf": [{"required": ["dataset"]}, {"required": ["datasets"]}],
        "$defs": dict(sorted(definitions.items())),
    }


def _plugin_entry(model: type[BaseModel], kind: str, plugins: PluginLookup, definitions: Schema) -> Schema:
    """The schema of a plugin entry: a bare name, or a map whose other keys depend on `name`, with one branch per
    plugin."""
    names = sorted(plugins.names(kind))
    branches = []
    for name in names:
        spec = plugins.get(kind, name)
        entry = _entry(model, _properties(compose_options(spec)))
        definitions[f"{kind}.{name}"] = {"description": spec.summary, **entry}
        branches.append({"if": {"properties": {"name": {"const": name}}}, "then": _ref(f"{kind}.{name}")})
    named: Schema = {"properties": {"name": {"enum": names}}, "required": ["name"]}
    if branches:
        named["allOf"] = branches
    spellings: list[Schema] = [{"enum": names}, {"type": "object", **named}]
    if model is TransformUse:
        # In `{rotate: 30}` the only key is the plugin; the value is a scalar or its options.
        short = {"properties": {name: {} for name in names}, "additionalProperties": False}
        spellings.append({"type": "object", "minProperties": 1, "maxProperties": 1, **short})
    return {"anyOf": spellings}


def _entry(model: type[BaseModel], options: Schema) -> Schema:
    """A map without other keys. None is required: a preset, a sweep or `--set` may add what the entry leaves out."""
    own = _properties(model)
    if model in ENTRY_KINDS:
        del own["options"]
        own["preset"] = _PRESET
    if model is DatasetEntry:
        own |= _dataset_spellings(own)
    if model is ClassifierEntry:
        own["init"] = _init_spellings(own["init"])
    if model in _SWEPT:
        own["sweep"] = _SWEEP
    return {"type": "object", "properties": {**options, **own}, "additionalProperties": False}


def _dataset_spellings(properties: Schema) -> Schema:
    names = {"type": "array", "items": {"type": "string"}}
    merged = {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, names]}}
    return {
        "classes": {"anyOf": [names, merged, {"type": "null"}]},
        "limit": {"anyOf": [{"type": "integer", "minimum": 0}, properties["limit"]]},
        "train_fraction": {"anyOf": [{"type": "number"}, properties["train_fraction"]]},
    }


def _init_spellings(init: Schema) -> Schema:
    """Allows the label of a data set of the matrix as the data set of `init`."""
    by_label = {"anyOf": [{"type": "string"}, _ref("dataset")]}
    return {
        **init,
        "anyOf": [
            {**kind, "properties": kind["properties"] | {"dataset": by_label}}
            if "properties" in kind
            else kind
            for kind in init["anyOf"]
        ],
    }


def _properties(model: type[BaseModel]) -> Schema:
    """The properties of a model, with nested models written out. A model that has no JSON Schema allows anything."""
    try:
        schema = model.model_json_schema()
    except PydanticInvalidForJsonSchema:
        return {info.alias or name: {} for name, info in model.model_fields.items()}
    definitions = schema.get("$defs", {})
    whole = _written_out(schema, definitions, ())
    hidden = _HIDDEN.get(model.__name__, set())
    return {key: value for key, value in whole.get("properties", {}).items() if key not in hidden}


def _written_out(schema: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    """Replaces each reference in `schema` by its definition, since two plugins may give two models the same name."""
    if isinstance(schema, list):
        return [_written_out(item, definitions, inside) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in _SHARED:
            return _ref(_SHARED[name])
        if name in inside:
            return {}
        named = {**definitions[name], **{key: value for key, value in schema.items() if key != "$ref"}}
        if name in _HIDDEN:
            named = {key: value for key, value in named.items() if key not in ("description", "default")}
            named["properties"] = {k: v for k, v in named["properties"].items() if k not in _HIDDEN[name]}
        return _written_out(named, definitions, (*inside, name))
    return {key: _written_out(value, definitions, inside) for key, value in schema.items() if key != "$defs"}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}
