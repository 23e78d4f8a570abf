"""JSON Schema (draft 2020-12) of a matrix file, with the options of every installed plugin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema

from derm_bench.matrix.grammar import ENTRY_KINDS, UNWRITTEN
from derm_bench.matrix.model import ClassifierEntry, DatasetEntry, Matrix, StrategyEntry, TestSet
from derm_bench.matrix.options import PluginLookup, compose_options
from derm_bench.matrix.schema_choices import by_type, choose
from derm_bench.specs import TransformUse

Schema = dict[str, Any]

_SWEEP: Schema = {
    "description": "a map of option paths to lists of values (their product), or a list of points",
    **choose(
        object={"additionalProperties": {"type": "array", "minItems": 1}},
        array={"items": {"type": "object"}, "minItems": 1},
    ),
}
_SEEDS: Schema = {"items": {"type": "integer", "minimum": 0}, "minItems": 1}
_SWEPT = (DatasetEntry, StrategyEntry, ClassifierEntry)
_PRESET: Schema = {"type": "string", "description": "a named option set of the plugin"}
_HIDDEN = {model.__name__: names for model, names in UNWRITTEN.items()}
_SHARED = {model.__name__: kind for model, kind in ENTRY_KINDS.items()} | {
    "StrategyEntry": "strategy",
    "TestSet": "test_set",
}
"""Definitions that are shared in the schema, by the name of their model."""
_ABOUT = {
    "dataset": "a data set: a bare name, or a map with the name and its options",
    "generator": "a generator: a bare name, or a map with the name and its options",
    "classifier": "a classifier: a bare name, or a map with the name and its options",
    "metric": "a metric: a bare name, or a map with the name and its options",
    "executor": "an executor: a bare name, or a map with the name and its options",
    "transform": "a transform: a bare name, {name: options}, or {name: value of its scalar option}",
    "strategy": "how a training set is made: a bare name, or a map",
    "test_set": "a test set: a bare name, or a map",
}


def json_schema(plugins: PluginLookup) -> Schema:
    """The schema of a matrix file. It cannot express rules across entries, which `plan` checks."""
    definitions: Schema = {}
    for model, kind in ENTRY_KINDS.items():
        definitions[kind] = _plugin_entry(model, kind, plugins, definitions)
    for name, model in (("strategy", StrategyEntry), ("test_set", TestSet)):
        entry = {**_entry(model, {}), "required": ["name"]}
        definitions[name] = {"description": _ABOUT[name], **choose(string={}, object=entry)}
    properties = _properties(Matrix)
    properties["seeds"] = {
        "description": Matrix.model_fields["seeds"].description,
        **choose(array=_SEEDS, object=properties["seeds"]),
    }
    properties["protocol"] = _described(
        properties["protocol"],
        choose(string={"enum": ["fair", "paper"]}, object=properties["protocol"]),
    )
    properties["dataset"] = {"description": "short for a list of one data set", **_ref("dataset")}
    properties["presets"] = {
        "type": "object",
        "description": "named changes of the matrix, by key path; `--preset NAME` applies one",
        "additionalProperties": {"type": "object"},
    }
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "derm-bench matrix",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "required": ["strategies"],
        # One of the two; with `oneOf` an editor could not say which one is missing.
        "if": {"required": ["dataset"]},
        "then": {"properties": {"datasets": False}},
        "else": {"required": ["datasets"]},
        "$defs": dict(sorted(definitions.items())),
    }
    return cast(Schema, by_type(whole))


def _described(described: Schema, schema: Schema) -> Schema:
    """`schema` with the description of the field that it is a spelling of."""
    return {key: described[key] for key in ("description", "default") if key in described} | schema


def _plugin_entry(model: type[BaseModel], kind: str, plugins: PluginLookup, definitions: Schema) -> Schema:
    """The schema of a plugin entry: a bare name, or a map whose other keys depend on `name`, with one branch per
    plugin. Branches are selected by `if`, so that an editor reports what the branch of that name finds."""
    names = sorted(plugins.names(kind))
    branches = []
    for name in names:
        spec = plugins.get(kind, name)
        entry = _entry(model, _properties(compose_options(spec)))
        entry["properties"]["name"] = {"description": f"the {kind}: {spec.summary}"}
        definitions[f"{kind}.{name}"] = {"description": spec.summary, **entry}
        this = {"properties": {"name": _spellings_of(name, names)}, "required": ["name"]}
        branches.append({"if": this, "then": _ref(f"{kind}.{name}")})
    named: Schema = {
        "properties": {"name": {"description": f"the {kind}", **_one_of(names)}},
    }
    if model in _SWEPT:  # a sweep may list names
        named |= {"if": {"required": ["sweep"]}, "else": {"required": ["name"]}}
    else:
        named["required"] = ["name"]
    if branches:
        named["allOf"] = branches
    if model is TransformUse:
        # In `{rotate: 30}` the only key is the plugin; the value is a scalar or its options.
        short = {
            "properties": {name: _short_transform(name, plugins) for name in names},
            "patternProperties": {":": {}},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        named = {"if": {"required": ["name"]}, "then": named, "else": short}
    return {"description": _ABOUT[kind], **choose(string=_one_of(names), object=named)}


def _one_of(names: list[str]) -> Schema:
    """One of the names, or one of them behind the distribution that provides it (`derm-bench:dcgan`)."""
    bare = sorted({name.rpartition(":")[2] for name in names})
    qualified = {"pattern": f":({'|'.join(map(re.escape, bare))})$"}
    return {"type": "string", "if": {"pattern": ":"}, "then": qualified, "else": {"enum": names}}


def _spellings_of(name: str, names: list[str]) -> Schema:
    """What selects the plugin `name`: itself, also behind its distribution unless that is another plugin's name."""
    if ":" in name:
        return {"const": name}
    others = [other for other in names if other.endswith(f":{name}")]
    spelled: Schema = {"pattern": f"^(.*:)?{re.escape(name)}$"}
    return {**spelled, "not": {"enum": others}} if others else spelled


def _short_transform(name: str, plugins: PluginLookup) -> Schema:
    """The value of `{NAME: ...}`: nothing, the plugin's options, or the value of its scalar option."""
    spec = plugins.get("transform", name)
    options = _properties(compose_options(spec))
    value = options.get(spec.scalar) if spec.scalar else None
    inner: Schema = {
        "type": "object",
        "properties": {**options, "preset": _PRESET},
        "additionalProperties": False,
    }
    return {
        "description": spec.summary,
        "if": {"type": "object"},
        "then": inner,
        "else": {
            "if": {"type": "null"},
            "else": value if value is not None else {"type": ["object", "null"]},
        },
    }


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
    merged = {
        "type": "object",
        "additionalProperties": choose(string={}, array={"items": {"type": "string"}}),
    }
    spellings = {
        "classes": {"anyOf": [names, merged, {"type": "null"}]},
        "limit": {"anyOf": [{"type": "integer", "minimum": 0}, properties["limit"]]},
        "train_fraction": {
            "anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1}, properties["train_fraction"]]
        },
    }
    return {name: _described(properties[name], schema) for name, schema in spellings.items()}


def _init_spellings(init: Schema) -> Schema:
    """Allows the label of a data set of the matrix as the data set of `init`."""

    def by_label(described: Schema) -> Schema:
        return _described(
            described,
            {"type": ["string", "object"], "if": {"type": "object"}, "then": _ref("dataset")},
        )

    return {
        **init,
        "anyOf": [
            {**kind, "properties": kind["properties"] | {"dataset": by_label(kind["properties"]["dataset"])}}
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
        fields = {info.alias or name: info.description for name, info in model.model_fields.items()}
        return {name: {"description": text} if text else {} for name, text in fields.items()}
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
            return _described(schema, _ref(_SHARED[name]))
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
