"""Finds scalars of another type than their field has, which pydantic converts: text to numbers, `true` to 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import PurePath
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from derm_bench.matrix.grammar import alternatives, written_name
from derm_bench.matrix.validation_errors import InvalidValue, shortened
from derm_bench.yamlio import KeyPath, resolve_scalar

_SCALARS = (str, bool, int, float)
_EXPECTED = {
    bool: "true or false is expected",
    int: "a whole number is expected",
    float: "a number is expected",
}


def mistaken_scalars(model: type[BaseModel], data: Mapping[str, Any]) -> Iterator[InvalidValue]:
    """Yields one problem for each scalar in plain `data` that pydantic would convert to the type of its field: text or
    true and false where a number is meant, text or a number where true or false is meant."""
    for key, annotation in _annotations(model).items():
        if key in data:
            yield from _mistaken(annotation, data[key], (key,))


@cache
def _annotations(model: type[BaseModel]) -> dict[str, Any]:
    """The type of each field, by the keys under which it may be written."""
    return {
        key: info.annotation
        for name, info in model.model_fields.items()
        for key in (name, written_name(name, info))
    }


def _mistaken(annotation: Any, value: Any, path: KeyPath) -> Iterator[InvalidValue]:
    members = list(alternatives(annotation))
    if isinstance(value, bool | str | int | float):
        expected = _expected(members, value)
        if expected is not None:
            yield InvalidValue(
                path, f"{_EXPECTED[expected]}, got {shortened(value)}", hint=_hint(value, expected)
            )
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            inner = [found for member in members if (found := _element(member, place)) is not None]
            yield from _least([list(_mistaken(one, item, (*path, place))) for one in inner])
    elif isinstance(value, dict):
        found = [list(_inside(member, value, path)) for member in members if _takes_map(member)]
        yield from _least(found)


def _expected(members: Sequence[Any], value: str | bool | int | float) -> type | None:
    """The type that is meant where `value` is written and no member of a union takes it as it is; None where one does,
    or where pydantic refuses it by itself."""
    plain = [member for member in members if member in (bool, int, float)]
    literals = [word for member in members if get_origin(member) is Literal for word in get_args(member)]
    if not plain or any(type(word) is type(value) and word == value for word in literals):
        return None
    if any(_takes(member, value) for member in members):
        return None
    return next(of for of in (float, int, bool) if of in plain)


def _hint(value: str | bool | int | float, expected: type) -> str:
    if expected is bool:
        return "write true or false"
    if not isinstance(value, str) or len(value) > 60:
        return ""
    return "write it without quotes" if isinstance(resolve_scalar(value), int | float) else ""


def _takes(member: Any, value: Any) -> bool:
    """Whether a member of a union takes the scalar without converting it to a number, true or false."""
    if member in (bool, int, float):
        return isinstance(value, bool) if member is bool else type(value) in (int, float)
    if member is type(None) or get_origin(member) is not None:
        return False
    if isinstance(member, type) and issubclass(member, PurePath):
        return isinstance(value, str)
    if isinstance(member, type) and issubclass(member, BaseModel):
        return False
    return member not in _SCALARS or isinstance(value, member)


def _element(member: Any, place: int) -> Any:
    """The type of an element of a list, tuple or sequence; None for other types."""
    if member is Any or get_origin(member) not in (tuple, list, Sequence, set, frozenset):
        return None
    arguments = get_args(member)
    if get_origin(member) is tuple and (len(arguments) < 2 or arguments[1] is not ...):
        return arguments[place] if place < len(arguments) else None
    return arguments[0]


def _takes_map(member: Any) -> bool:
    return (
        member is Any
        or get_origin(member) in (dict, Mapping)
        or (isinstance(member, type) and issubclass(member, BaseModel))
    )


def _inside(member: Any, value: Mapping[Any, Any], path: KeyPath) -> Iterator[InvalidValue]:
    if member is Any:
        return
    if get_origin(member) in (dict, Mapping):
        for key, item in value.items():
            yield from _mistaken(get_args(member)[1], item, (*path, key))
        return
    for problem in mistaken_scalars(member, value):
        yield replace(problem, path=(*path, *problem.path))


def _least(found: Sequence[list[InvalidValue]]) -> list[InvalidValue]:
    """The problems under the member of a union that has the fewest."""
    return min(found, key=len) if found else []


__all__ = ["mistaken_scalars"]
