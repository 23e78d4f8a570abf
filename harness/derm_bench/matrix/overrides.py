"""Applies presets and `--set` to a matrix: values at key paths, set before sweeps are expanded and values validated."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from derm_bench.errors import UserError, did_you_mean, dotted
from derm_bench.matrix.grammar import ENTRY_KINDS, child, element_type, fields_of, models_in, value_type
from derm_bench.matrix.locations import Locations, Written
from derm_bench.matrix.model import ClassifierEntry, DatasetEntry, Matrix, StrategyEntry
from derm_bench.matrix.options import PluginLookup
from derm_bench.matrix.short_forms import expand_short_forms
from derm_bench.specs import Budget, TransformUse
from derm_bench.yamlio import KeyPath, parse_yaml

MAX_PATH = 500

SWEPT_SECTIONS: dict[str, type[BaseModel]] = {
    "datasets": DatasetEntry,
    "strategies": StrategyEntry,
    "classifiers": ClassifierEntry,
}


class NoSuchPath(Exception):
    """The path does not exist in this matrix. `never` means that it exists in no matrix, so that a preset may not skip
    it."""

    def __init__(self, path: KeyPath, message: str, hint: str = "", never: bool = False) -> None:
        super().__init__(message)
        self.path, self.message, self.hint, self.never = path, message, hint, never


def apply_preset(
    raw: dict[str, Any], name: str, presets: Any, plugins: PluginLookup, locations: Locations
) -> None:
    """Applies the preset `name` of the matrix to `raw`, in place. Paths that do not exist are skipped."""
    if not isinstance(presets, dict) or name not in presets:
        known = [str(key) for key in presets] if isinstance(presets, dict) else []
        hint = did_you_mean(name, known) if known else "the matrix has no presets"
        raise locations.error(f"no preset is named '{name}'", ("presets",), hint)
    if not isinstance(presets[name], dict):
        raise locations.error("a preset must be a map of key paths to values", ("presets", name))
    for key, value in presets[name].items():
        at: KeyPath = ("presets", name, key)
        try:
            _apply(raw, str(key), value, Written(f"preset '{name}'", at), plugins, locations)
        except NoSuchPath as missing:
            if missing.never:
                raise locations.error(missing.message, at, missing.hint) from None


def apply_set(raw: dict[str, Any], expression: str, plugins: PluginLookup, locations: Locations) -> None:
    """Applies one `PATH=VALUE` to `raw`, in place. Raises UserError when the path does not exist or VALUE is not
    YAML."""
    path, equals, text = expression.partition("=")
    shown = path if len(path) <= 80 else path[:77] + "..."
    flag = f"--set {expression if len(expression) <= 80 else shown + '=...'}"
    if not equals or not path.strip():
        raise UserError(f"{flag}: not of the form PATH=VALUE", hint="for example --set datasets.0.size=32")
    try:
        value = parse_yaml(text).data
    except UserError as error:
        raise UserError(f"{flag}: {error.message}", hint=error.hint) from None
    try:
        _apply(raw, path.strip(), value, Written(f"--set {shown}"), plugins, locations)
    except NoSuchPath as missing:
        where = f" at {dotted(missing.path)}" if missing.path else ""
        raise UserError(f"{flag}: {missing.message}{where}", hint=missing.hint) from None


def split_path(text: str) -> KeyPath:
    """Splits a dotted path: `dataset.split.0` becomes `("datasets", 0, "split", 0)`. Numbers are indices.

    Raises NoSuchPath for a path of more than 500 characters.
    """
    if len(text) > MAX_PATH:
        raise NoSuchPath((), f"a path of {len(text)} characters, more than {MAX_PATH}", never=True)
    parts: list[str | int] = [int(p) if p.removeprefix("-").isdecimal() else p for p in text.split(".")]
    return ("datasets", 0, *parts[1:]) if parts[0] == "dataset" else tuple(parts)


def _apply(
    raw: dict[str, Any], path: str, value: Any, written: Written, plugins: PluginLookup, locations: Locations
) -> None:
    try:
        for place in assign(raw, Matrix, split_path(path), value, plugins):
            for old in [old for old in locations.overrides if old[: len(place)] == place]:
                del locations.overrides[old]
            locations.overrides[place] = written
    finally:
        expand_short_forms(raw, locations)


def assign(
    holder: Any, annotation: Any, parts: KeyPath, value: Any, plugins: PluginLookup, at: KeyPath = ()
) -> list[KeyPath]:
    """Sets the value at `parts` below `holder` (plain data of type `annotation`); defaults on the way are written out.

    Returns the key paths that were set, with `at` in front. Raises NoSuchPath when the path does not exist.
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
        holder.clear()  # the keys exclude each other, so the new one replaces the one in the file
    inner, below = _below(holder, annotation, name, plugins, at)
    if not rest:
        holder[name] = copy.deepcopy(value)
        return [(*at, name)]
    if not isinstance(below, dict | list):
        raise NoSuchPath(
            (*at, name), f"'{name}' is not a map or list here", f"set {dotted((*at, name))} as a whole"
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
            (*at, key), f"element {key} is not a map or list", f"set {dotted((*at, key))} as a whole"
        )
    return assign(holder[key], element_type(annotation), rest, value, plugins, (*at, key))


def _assign_sweep(holder: dict[str, Any], rest: KeyPath, value: Any, at: KeyPath) -> list[KeyPath]:
    """Sets a value below `sweep`, where the rest of the path is one key, dots included (after the index in a list of
    points)."""
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
    """The key as it is written in the file: a class may have a number as its name, which a path cannot show."""
    return key if key in holder else str(key)


def _below(
    holder: dict[str, Any], annotation: Any, key: str, plugins: PluginLookup, at: KeyPath
) -> tuple[Any, Any]:
    """(type, value) under `key`, from the file, the plugin's preset or the default. Raises NoSuchPath for an invalid
    key."""
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
    """A default as it would be written in a file."""
    if isinstance(value, TransformUse):
        options = value.options if isinstance(value.options, dict) else {}
        return {"name": value.name, **options}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, tuple | list):
        return [_as_written(element) for element in value]
    return copy.deepcopy(value) if isinstance(value, dict) else value
