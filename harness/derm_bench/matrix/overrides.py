"""Presets and `--set`: key paths with `*` -> values laid over the matrix before sweeps and validation."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from derm_bench.errors import UserError, did_you_mean, dotted
from derm_bench.matrix.model import ClassifierEntry, DatasetEntry, Matrix, StrategyEntry
from derm_bench.matrix.options import PluginLookup
from derm_bench.matrix.shape import ENTRY_KINDS, child, element_type, fields_of, models_in, value_type
from derm_bench.matrix.source import Source, Written
from derm_bench.matrix.spelling import spell_out
from derm_bench.specs import Budget, TransformUse
from derm_bench.yamlio import KeyPath, parse_yaml

SWEPT_SECTIONS: dict[str, type[BaseModel]] = {
    "datasets": DatasetEntry,
    "strategies": StrategyEntry,
    "classifiers": ClassifierEntry,
}


class NoSuchPath(Exception):
    """The path does not exist in this matrix. `never`: in no matrix, so a preset may not skip it either."""

    def __init__(self, path: KeyPath, message: str, hint: str = "", never: bool = False) -> None:
        super().__init__(message)
        self.path, self.message, self.hint, self.never = path, message, hint, never


def apply_preset(raw: dict[str, Any], name: str, presets: Any, plugins: PluginLookup, source: Source) -> None:
    """Lays the preset `name` of the matrix over `raw`; a path that does not exist is skipped."""
    if not isinstance(presets, dict) or name not in presets:
        known = [str(key) for key in presets] if isinstance(presets, dict) else []
        hint = did_you_mean(name, known) if known else "the matrix has no presets"
        raise source.error(f"no preset is named '{name}'", ("presets",), hint)
    if not isinstance(presets[name], dict):
        raise source.error("a preset is a map of key paths to values", ("presets", name))
    for key, value in presets[name].items():
        at: KeyPath = ("presets", name, key)
        try:
            _apply(raw, str(key), value, Written(f"preset '{name}'", at), plugins, source)
        except NoSuchPath as missing:
            if missing.never:
                raise source.error(missing.message, at, missing.hint) from None


def apply_set(raw: dict[str, Any], expression: str, plugins: PluginLookup, source: Source) -> None:
    """Lays one `PATH=VALUE` over `raw`; UserError where the path does not exist or VALUE is not YAML."""
    path, equals, text = expression.partition("=")
    flag = f"--set {expression if len(expression) <= 80 else path + '=...'}"
    if not equals or not path.strip():
        raise UserError(f"{flag}: not of the form PATH=VALUE", hint="for example --set datasets.0.size=32")
    try:
        value = parse_yaml(text).data
    except UserError as error:
        raise UserError(f"{flag}: {error.message}", hint=error.hint) from None
    try:
        _apply(raw, path.strip(), value, Written(f"--set {path}"), plugins, source)
    except NoSuchPath as missing:
        where = f" at {dotted(missing.path)}" if missing.path else ""
        raise UserError(f"{flag}: {missing.message}{where}", hint=missing.hint) from None


def split_path(text: str) -> KeyPath:
    """`dataset.split.0` as `("datasets", 0, "split", 0)`: numbers are indices, `dataset` is `datasets.0`."""
    parts: list[str | int] = [int(p) if p.removeprefix("-").isdecimal() else p for p in text.split(".")]
    return ("datasets", 0, *parts[1:]) if parts[0] == "dataset" else tuple(parts)


def _apply(
    raw: dict[str, Any], path: str, value: Any, written: Written, plugins: PluginLookup, source: Source
) -> None:
    try:
        for place in assign(raw, Matrix, split_path(path), value, plugins):
            for old in [old for old in source.overrides if old[: len(place)] == place]:
                del source.overrides[old]
            source.overrides[place] = written
    finally:
        spell_out(raw, source)


def assign(
    holder: Any, annotation: Any, parts: KeyPath, value: Any, plugins: PluginLookup, at: KeyPath = ()
) -> list[KeyPath]:
    """Puts `value` at `parts` below `holder` (plain data of type `annotation`), writing defaults out.

    Returns the key paths that were set, `at` in front. NoSuchPath where none exists.
    """
    key, rest = parts[0], parts[1:]
    if isinstance(key, int) and key < 0:
        raise NoSuchPath(at, f"negative index {key}", "count from 0", never=True)
    if key == "*":
        return _assign_all(holder, annotation, rest, value, plugins, at)
    if isinstance(holder, list):
        return _assign_element(holder, annotation, key, rest, value, plugins, at)
    if len(at) == 2 and at[0] in SWEPT_SECTIONS and key == "sweep":
        return _assign_sweep(holder, rest, value, at)
    name = _written_key(holder, key)
    if any(issubclass(model, Budget) for model in models_in(annotation)):
        holder.clear()  # its keys exclude each other: the new one replaces what was written
    inner, below = _below(holder, annotation, name, plugins, at)
    if not rest:
        holder[name] = copy.deepcopy(value)
        return [(*at, name)]
    if not isinstance(below, dict | list):
        raise NoSuchPath(
            (*at, name), f"'{name}' is no map or list here", f"set {dotted((*at, name))} as a whole"
        )
    places = assign(below, inner, rest, value, plugins, (*at, name))
    holder[name] = below
    return places


def _assign_all(
    holder: Any, annotation: Any, rest: KeyPath, value: Any, plugins: PluginLookup, at: KeyPath
) -> list[KeyPath]:
    keys: Sequence[str | int] = list(range(len(holder))) if isinstance(holder, list) else list(holder)
    places: list[KeyPath] = []
    missing = NoSuchPath(at, "there is no element for '*'")
    for key in keys:
        try:
            places += assign(holder, annotation, (key, *rest), value, plugins, at)
        except NoSuchPath as error:
            missing = error
            if error.never:
                raise
    if not places:
        raise missing
    return places


def _assign_element(
    holder: list[Any],
    annotation: Any,
    key: str | int,
    rest: KeyPath,
    value: Any,
    plugins: PluginLookup,
    at: KeyPath,
) -> list[KeyPath]:
    if not isinstance(key, int):
        raise NoSuchPath(at, f"'{key}' is not an index of a list", "give a number or *")
    if key >= len(holder):
        raise NoSuchPath(
            at, f"index {key} is out of range", f"the list has {len(holder)} elements, counted from 0"
        )
    if not rest:
        holder[key] = copy.deepcopy(value)
        return [(*at, key)]
    if not isinstance(holder[key], dict | list):
        raise NoSuchPath(
            (*at, key), f"element {key} is no map or list", f"set {dotted((*at, key))} as a whole"
        )
    return assign(holder[key], element_type(annotation), rest, value, plugins, (*at, key))


def _assign_sweep(holder: dict[str, Any], rest: KeyPath, value: Any, at: KeyPath) -> list[KeyPath]:
    """Below `sweep` the rest of the path is one key, dots and all (after the index, in a list of points)."""
    at = (*at, "sweep")
    if not rest:
        holder["sweep"] = copy.deepcopy(value)
        return [at]
    sweep = holder.get("sweep")
    if isinstance(sweep, list) and isinstance(rest[0], int) and len(rest) > 1:
        at, sweep, rest = (*at, rest[0]), child(sweep, rest[0]), rest[1:]
    if not isinstance(sweep, dict):
        raise NoSuchPath(at, "no such sweep")
    key = dotted(rest)
    sweep[key] = copy.deepcopy(value)
    return [(*at, key)]


def _written_key(holder: dict[Any, Any], key: str | int) -> Any:
    """The key as the file has it: a class may be named by a number or a word, a path cannot tell."""
    return key if key in holder else str(key)


def _below(
    holder: dict[str, Any], annotation: Any, key: str, plugins: PluginLookup, at: KeyPath
) -> tuple[Any, Any]:
    """(type, value) under `key`: of the file, the plugin's preset or the default; NoSuchPath if not valid."""
    valid: list[str] = []
    for model in models_in(annotation):
        fields = fields_of(model, holder, plugins)
        valid += fields
        if key in fields:
            below = holder[key] if key in holder else _default(model, fields[key], holder, key, plugins)
            return fields[key].annotation, below
    inner = value_type(annotation)
    if inner is None:
        raise NoSuchPath((*at, key), f"unknown key '{key}'", did_you_mean(key, valid))
    return inner, holder.get(key)


def _default(
    model: type[BaseModel], info: FieldInfo, holder: dict[str, Any], key: str, plugins: PluginLookup
) -> Any:
    if model in ENTRY_KINDS and isinstance(holder.get("preset"), str) and isinstance(holder.get("name"), str):
        preset = plugins.get(ENTRY_KINDS[model], holder["name"]).presets.get(holder["preset"], {})
        if key in preset:
            return copy.deepcopy(preset[key])
    return _as_written(info.get_default(call_default_factory=True, validated_data={}))


def _as_written(value: Any) -> Any:
    """A default as a file would spell it."""
    if isinstance(value, TransformUse):
        options = value.options if isinstance(value.options, dict) else {}
        return {"name": value.name, **options}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, tuple | list):
        return [_as_written(element) for element in value]
    return copy.deepcopy(value) if isinstance(value, dict) else value
