"""Finds out which texts of a matrix are paths, from the types of the options that they are values of, at any depth."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from derm_bench.matrix.grammar import ENTRY_KINDS, fields_of
from derm_bench.matrix.options import PluginLookup
from derm_bench.options.paths import members, takes_paths

# A text that begins like this is a path even where other texts are allowed.
_LIKE_A_PATH = ("/", "./", "../", "~")


def names_a_path(annotation: Any, text: str, exists: bool) -> bool:
    """Whether a text of this type is a path; `exists` says whether there is such a file or folder. If the type takes
    other texts too, it is one if it begins like a path or exists; a text that the type lists (`Literal`, an
    enumeration) never is."""
    meant = list(members(annotation))
    if not takes_paths(annotation) or any(text in _listed(member) for member in meant):
        return False
    return str not in meant or text.startswith(_LIKE_A_PATH) or exists


def type_below(annotation: Any, raw: Any, key: str | int, plugins: PluginLookup) -> Any:
    """The type of the value under `key` of a value `raw`, a union if it may have several; None if it is not known."""
    found = [below for member in members(annotation) for below in _below(member, raw, key, plugins)]
    return Union[tuple(found)] if found else None  # noqa: UP007  (made of a tuple)


def _listed(member: Any) -> Collection[Any]:
    if get_origin(member) is Literal:
        return get_args(member)
    if isinstance(member, type) and issubclass(member, enum.Enum):
        return [each.value for each in member]
    return ()


def _below(member: Any, raw: Any, key: str | int, plugins: PluginLookup) -> Iterator[Any]:
    if member is Any:
        yield Any
    elif isinstance(key, int):
        yield from _element(member, key)
    elif isinstance(member, type) and issubclass(member, BaseModel):
        fields = fields_of(member, raw, plugins) if member not in ENTRY_KINDS and _may_be(member, raw) else {}
        if key in fields:
            yield fields[key].annotation
    elif hasattr(member, "__total__") or dataclasses.is_dataclass(member):  # a TypedDict, of either library
        hints = get_type_hints(member)
        if key in hints:
            yield hints[key]
    else:
        origin, arguments = get_origin(member), get_args(member)
        if isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) == 2:
            yield arguments[1]


def _element(member: Any, place: int) -> Iterator[Any]:
    """The types of one element of a list, tuple or set."""
    origin, arguments = get_origin(member), get_args(member)
    if isinstance(member, type) and issubclass(member, tuple) and hasattr(member, "_fields"):
        yield from list(get_type_hints(member).values())[place : place + 1]
    elif origin is tuple and Ellipsis not in arguments:
        yield from arguments[place : place + 1]
    elif isinstance(origin, type) and issubclass(origin, Collection) and not issubclass(origin, Mapping):
        yield from arguments[:1]


def _may_be(model: type[BaseModel], raw: Any) -> bool:
    """Whether a map may be meant as this model: a field that lists its values, such as `kind`, has one of them."""
    given = raw if isinstance(raw, dict) else {}
    return all(
        given[name] in get_args(info.annotation)
        for name, info in model.model_fields.items()
        if get_origin(info.annotation) is Literal and isinstance(given.get(name), str)
    )
