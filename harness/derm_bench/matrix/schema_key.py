"""The part of the JSON Schema of a matrix that describes one key, as a schema of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from derm_bench.errors import UserError, did_you_mean

Schema = dict[str, Any]


def key_schema(whole: Schema, key: str) -> Schema:
    """The schema of `key`: a path (`datasets`, `analysis.primary`, `strategies.generator.base`) or a plugin by kind and
    name (`generator.dcgan`). Numbers and `*` in a path stand for an element of a list and may be left out.

    Raises UserError with the nearest key if there is none.
    """
    definitions: Schema = whole["$defs"]
    if key in definitions:
        found = [definitions[key]]
    else:
        found = [whole]
        for word in key.split("."):
            if word == "*" or word.isdigit():
                continue
            below = [inner for schema in found for inner in _below(schema, word, definitions, set())]
            if not below:
                raise UserError(
                    f"the matrix has no key '{key}'", hint=_nearest(key, word, found, definitions)
                )
            found = list({str(inner): inner for inner in below}.values())
    part = found[0] if len(found) == 1 else {"anyOf": found}
    used = _used(part, definitions, {})
    return {
        "$schema": whole["$schema"],
        "title": f"{whole['title']}: {key}",
        **{name: value for name, value in part.items() if name not in ("$schema", "title")},
        **({"$defs": dict(sorted(used.items()))} if used else {}),
    }


def _nearest(key: str, word: str, found: list[Schema], definitions: Schema) -> str:
    """The hint for a key that is not there: `word` is the part of it that was not found below `found`."""
    if key.partition(".")[0] in definitions:
        return did_you_mean(key, list(definitions))
    return did_you_mean(
        word, sorted({name for schema in found for name in _keys(schema, definitions, set())})
    )


def _parts(schema: Any, definitions: Schema, seen: set[str]) -> Iterator[Schema]:
    """The schema, and those that describe the same value or the elements of the same list."""
    if not isinstance(schema, dict):
        return
    yield schema
    reference = schema.get("$ref", "").removeprefix("#/$defs/")
    if reference and reference not in seen:
        yield from _parts(definitions[reference], definitions, seen | {reference})
    for name in ("then", "else", "items"):
        yield from _parts(schema.get(name), definitions, seen)
    for name in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(name, ()):
            yield from _parts(inner, definitions, seen)


def _below(schema: Schema, word: str, definitions: Schema, seen: set[str]) -> Iterator[Schema]:
    for part in _parts(schema, definitions, seen):
        inner = part.get("properties", {}).get(word)
        if isinstance(inner, dict):
            yield inner


def _keys(schema: Schema, definitions: Schema, seen: set[str]) -> Iterator[str]:
    for part in _parts(schema, definitions, seen):
        yield from part.get("properties", {})


def _used(schema: Any, definitions: Schema, found: Schema) -> Schema:
    """The definitions that a schema refers to, also through others."""
    if isinstance(schema, list):
        for item in schema:
            _used(item, definitions, found)
    elif isinstance(schema, dict):
        for name, value in schema.items():
            if name == "$ref":
                reference = value.removeprefix("#/$defs/")
                if reference not in found:
                    found[reference] = definitions[reference]
                    _used(definitions[reference], definitions, found)
            else:
                _used(value, definitions, found)
    return found
