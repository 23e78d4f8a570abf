"""Says in plain words what a JSON Schema accepts: `a number above 0`, `one of bce, hinge`, `a file or folder`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_SCALARS = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "null": "null"}
_FORMATS = {"path": "a file or folder", "file-path": "a file", "directory-path": "a folder"}
_NAMES = {
    "Budget": "a budget",
    "TransformUse": "a transform",
    "ClassifierUse": "a classifier",
    "DatasetUse": "a data set",
}
_PLURALS = {
    "a whole number": "whole numbers",
    "a number": "numbers",
    "text": "texts",
    "a file or folder": "files or folders",
    "a file": "files",
    "a folder": "folders",
    "a transform": "transforms",
    "a classifier": "classifiers",
    "a data set": "data sets",
    "a strategy": "strategies",
    "a metric": "metrics",
    "a test set": "test sets",
}


def in_words(
    entry: Mapping[str, Any],
    named: Mapping[str, str] | None = None,
    quote: Callable[[str], str] = str,
) -> str:
    """What a value may be that the schema `entry` accepts. That it may be left out (null) is not said.

    `named` has the words for definitions that the schema refers to, by name; `quote` marks text that is written as it
    stands, such as the members of an enumeration.
    """
    names = {**_NAMES, **(named or {})}
    return _words(entry, names, quote)


def _words(entry: Mapping[str, Any], names: Mapping[str, str], quote: Callable[[str], str]) -> str:
    if "$ref" in entry:
        name = entry["$ref"].rpartition("/")[2]
        return names.get(name, f"a {name[:1].lower()}{name[1:]} map")
    for key in ("anyOf", "oneOf", "allOf"):
        if key in entry:
            choices = [_words(choice, names, quote) for choice in entry[key] if choice.get("type") != "null"]
            return ", or ".join(dict.fromkeys(choices)) or "null"
    if "enum" in entry or "const" in entry:
        members = [quote(_written(value)) for value in entry.get("enum", [entry.get("const")])]
        return f"one of {', '.join(members)}" if len(members) > 1 else members[0]
    kind = entry.get("type")
    if kind == "array":
        return _list(entry, names, quote)
    if kind == "object":
        values = entry.get("additionalProperties")
        words = _words(values, names, quote) if isinstance(values, Mapping) and values else ""
        return f"a map with {_plural(words)}" if words else "a map"
    if kind == "string":
        return _FORMATS.get(entry.get("format", ""), "text")
    return f"{_SCALARS.get(kind or '', 'anything')}{_bounds(entry)}"


def _list(entry: Mapping[str, Any], names: Mapping[str, str], quote: Callable[[str], str]) -> str:
    places = entry.get("prefixItems")
    if places:
        words = list(dict.fromkeys(_words(place, names, quote) for place in places))
        return (
            f"a list of {len(places)} {_plural(words[0])}" if len(words) == 1 else f"a list of {len(places)}"
        )
    items = entry.get("items")
    return f"a list of {_plural(_words(items, names, quote))}" if items else "a list"


def _plural(words: str) -> str:
    """`a number above 0` -> `numbers above 0`; other words become `values, each ...`."""
    for one, many in sorted(_PLURALS.items(), key=lambda pair: -len(pair[0])):
        if words == one or words.startswith((f"{one} above", f"{one} below", f"{one} from", f"{one} of at")):
            return many + words[len(one) :]
    return f"values, each {words}"


def _bounds(entry: Mapping[str, Any]) -> str:
    """The limits of a number: ` from 1 to 8`, ` above 0`, ` from 0, below 1`. Empty without limits."""
    least, above = entry.get("minimum"), entry.get("exclusiveMinimum")
    most, below = entry.get("maximum"), entry.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f" from {least:,} to {most:,}"
    closed = (least if least is not None else above) is None or (most if most is not None else below) is None
    limits = [
        f"{word} {value:,}"
        for word, value in (
            ("of at least" if closed else "from", least),
            ("above", above),
            ("of at most" if closed else "up to", most),
            ("below", below),
        )
        if value is not None
    ]
    return f" {', '.join(limits)}" if limits else ""


def _written(value: Any) -> str:
    """A scalar as a person writes it in YAML: `true`, `300` for 300.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_yaml(value: Any) -> str:
    """Plain data as YAML has it in one line. A map is without its empty keys, and nothing is `-`."""
    return "-" if value is None else _flow(value)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = [f"{key}: {_flow(inner)}" for key, inner in value.items() if inner is not None]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return "null" if value is None else _written(value)
