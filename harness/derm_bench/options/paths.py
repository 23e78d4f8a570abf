"""Finds the paths in the options of a plugin, at any depth, and the types that paths have."""

from __future__ import annotations

import dataclasses
import types
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, RootModel


class StatedFolder:
    """Marks an option whose folder the plugin's `depends_on` describes, so that the harness does not hash the folder as
    well: `root: Annotated[Path, StatedFolder()]`. A file is known by its content all the same."""


class OptionPath(NamedTuple):
    """A path among the options: `place` are the keys that lead to it, `stated` is true for a `StatedFolder`."""

    place: tuple[str | int, ...]
    path: Path
    stated: bool


class Part(NamedTuple):
    """A value directly inside another one, with its key there."""

    key: str | int
    value: Any
    stated: bool = False


def paths_in(value: Any, place: tuple[str | int, ...] = (), stated: bool = False) -> Iterator[OptionPath]:
    """All paths in a value: in models, dataclasses, maps, lists, tuples and sets, at any depth."""
    value = unwrapped(value)
    if isinstance(value, Path):
        yield OptionPath(place, value, stated)
    for part in parts(value):
        yield from paths_in(part.value, (*place, part.key), part.stated)


def unwrapped(value: Any) -> Any:
    """The value of a `RootModel`, which has no key of its own; any other value as it is."""
    while isinstance(value, RootModel):
        value = value.root
    return value


def parts(value: Any) -> list[Part]:
    """The values directly inside a value, in the order in which pydantic writes them."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return [Part(name, getattr(value, name), _is_stated(info)) for name, info in fields.items()]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [Part(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, Mapping):
        return [Part(key, inner) for key, inner in value.items()]
    if isinstance(value, list | tuple | set | frozenset | deque):
        return [Part(place, inner) for place, inner in enumerate(value)]
    return []


def _is_stated(info: Any) -> bool:
    return any(isinstance(mark, StatedFolder) for mark in info.metadata)


def takes_paths(annotation: Any) -> bool:
    """Whether a value of this type may be a path."""
    return any(isinstance(member, type) and issubclass(member, Path) for member in members(annotation))


def members(annotation: Any) -> Iterator[Any]:
    """The members of a union, or the one type that it is, behind aliases, new types and root models."""
    origin = get_origin(annotation)
    behind = getattr(annotation, "__value__", None) or getattr(annotation, "__supertype__", None)
    if origin is Annotated:
        yield from members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from members(member)
    elif behind is not None:
        yield from members(behind)
    elif isinstance(annotation, type) and issubclass(annotation, RootModel):
        yield from members(annotation.model_fields["root"].annotation)
    else:
        yield annotation
