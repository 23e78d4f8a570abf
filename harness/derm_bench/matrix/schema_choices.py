"""Rewrites `anyOf` in a JSON Schema by the type of the value, so that an editor names what is wrong.

Of `anyOf` a validator can only say that no alternative is met. Where the alternatives have different types, the type of
the value selects one, and the validator reports what this one finds: an unknown key, a number that is too large.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_ANNOTATIONS = ("title", "description", "default", "examples")


def by_type(schema: Any) -> Any:
    """The same schema with each `anyOf` whose alternatives have different types rewritten, at any depth."""
    if isinstance(schema, list):
        return [by_type(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: by_type(value) for key, value in schema.items()}
    choices = inner.get("anyOf")
    if not isinstance(choices, list):
        return inner
    rest = {key: value for key, value in inner.items() if key != "anyOf"}
    choices = [choice for choice in choices if not _is_covered(choice, choices)]
    if len(choices) == 1:
        return {**choices[0], **rest}
    references = [choice for choice in choices if "$ref" in choice]
    if len(choices) == 2 and len(references) == 1 and {"type": "null"} in choices:
        return {**rest, "if": {"not": {"type": "null"}}, "then": references[0]}
    types = [_types(choice) for choice in choices]
    every = [kind for found in types for kind in found]
    if not all(types) or len(set(every)) < len(every):
        return {**rest, "anyOf": choices}
    return {**rest, **_selected(choices, types)}


def choose(**choices: Schema) -> Schema:
    """A value whose JSON type selects its schema: `choose(string=..., object=...)`."""
    whole = [{**schema, "type": kind} if "$ref" not in schema else schema for kind, schema in choices.items()]
    return _selected(whole, [(kind,) for kind in choices])


def _is_covered(choice: Schema, choices: list[Schema]) -> bool:
    """Whether an alternative lists words of which another accepts any."""
    return choice.get("type") == "string" and "enum" in choice and {"type": "string"} in choices


def _types(choice: Mapping[str, Any]) -> tuple[str, ...]:
    """The types that an alternative accepts; empty if they cannot be told."""
    if "$ref" in choice or "anyOf" in choice:
        return ()
    if "type" in choice:
        kind = choice["type"]
        return tuple(kind) if isinstance(kind, list) else ("number",) if kind == "integer" else (kind,)
    values = choice.get("enum", [choice["const"]] if "const" in choice else [])
    return tuple({"boolean" if isinstance(value, bool) else "string" for value in values})


def _selected(choices: list[Schema], types: list[tuple[str, ...]]) -> Schema:
    allowed = [kind for found in types for kind in found]
    conditions = [
        {"if": {"type": list(found) if len(found) > 1 else found[0]}, "then": _bare(choice)}
        for choice, found in zip(choices, types, strict=True)
        if set(_bare(choice)) - {"type"} or choice.get("type") == "integer"
    ]
    found: Schema = {"type": allowed if len(allowed) > 1 else allowed[0]}
    return {**found, "allOf": conditions} if conditions else found


def _bare(choice: Schema) -> Schema:
    """An alternative without its annotations, which the rewritten schema has as a whole."""
    return {key: value for key, value in choice.items() if key not in _ANNOTATIONS}
