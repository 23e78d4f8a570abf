"""Turns the validation errors of pydantic into one readable sentence per key path of the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from derm_bench.yamlio import KeyPath

_EXPECTED = {
    "tuple_type": "a list is expected",
    "list_type": "a list is expected",
    "dict_type": "a map is expected",
    "model_type": "a map is expected",
    "model_attributes_type": "a map is expected",
    "string_type": "a string is expected",
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "float_type": "a number is expected",
    "float_parsing": "a number is expected",
    "bool_type": "true or false is expected",
    "bool_parsing": "true or false is expected",
}


@dataclass(frozen=True)
class InvalidValue:
    """A validation error: its key path below the validated value, and the sentence that describes it."""

    path: KeyPath
    message: str
    unknown_key: bool = False
    hint: str = ""


def readable_errors(error: ValidationError, raw: Any) -> list[InvalidValue]:
    """The errors by key path. Of a union, the error of the member that matched deepest is reported; ties are joined by
    "or"."""
    found: dict[KeyPath, list[ErrorDetails]] = {}
    for item in error.errors(include_url=False):
        found.setdefault(place_in(raw, item["loc"], item["type"]), []).append(item)
    above = {path[:end] for path in found for end in range(len(path))}
    return [_join(path, items) for path, items in found.items() if path not in above]


def _join(path: KeyPath, items: Sequence[ErrorDetails]) -> InvalidValue:
    kinds = {item["type"] for item in items}
    if "extra_forbidden" in kinds:
        return InvalidValue(path, f"unknown key '{path[-1]}'", unknown_key=True)
    if "missing" in kinds:
        return InvalidValue(path, f"'{path[-1]}' is missing")
    sentences = list(dict.fromkeys(_sentence(item) for item in items))
    own = kinds <= {"value_error", "assertion_error"}
    got = "" if own else f", got {shortened(items[0]['input'])}"
    hint = quoted(items[0]["input"]) if "string_type" in kinds else ""
    return InvalidValue(path, ", or ".join(sentences) + got, hint=hint)


def quoted(value: Any) -> str:
    """The hint where text is expected and the file has a number, true or false; empty for other values."""
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int | float):
        return ""
    return f"write names in quotes, such as '{value}': without them YAML reads a number, and 001 becomes 1"


def _sentence(item: ErrorDetails) -> str:
    if item["type"] in _EXPECTED:
        return _EXPECTED[item["type"]]
    message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message.replace("Input should be ", "it should be ")


def shortened(value: Any) -> str:
    """A value as messages show it, at most sixty characters."""
    """A value as messages show it, at most sixty characters."""
    if isinstance(value, str | list | tuple | dict) and len(value) > 1000:
        return f"a {type(value).__name__} of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def place_in(raw: Any, loc: Sequence[str | int], kind: str = "") -> KeyPath:
    """`loc` without the parts that `raw` does not have: names of union members and models, which pydantic inserts."""
    path: list[str | int] = []
    for position, part in enumerate(loc):
        if isinstance(raw, list):
            inside = isinstance(part, int) and 0 <= part < len(raw)
        else:
            inside = isinstance(raw, dict) and part in raw
        if inside:
            raw = raw[part]
        elif not (kind == "missing" and position == len(loc) - 1):
            continue
        path.append(part)
    return tuple(path)
