"""Expands sweeps: one entry becomes several points, each an entry with a label that shows the swept values."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from derm_bench.errors import UserError
from derm_bench.matrix.labels import in_label
from derm_bench.matrix.locations import Locations, Where
from derm_bench.matrix.options import PluginLookup
from derm_bench.matrix.overrides import SWEPT_SECTIONS, NoSuchPath, assign, split_path
from derm_bench.matrix.short_forms import expand_entry
from derm_bench.yamlio import KeyPath

MAX_POINTS = 10_000
MAX_PATHS = 100


@dataclass(frozen=True)
class Point:
    """One entry with its swept values. `suffix` is appended to its label, unless the point has a `label` of its own."""

    raw: Any
    where: Where
    suffix: str = ""
    label: str | None = None


@dataclass(frozen=True)
class _Value:
    """A swept value, its key path, and its number among the values of its key, counted from 1."""

    value: Any
    at: KeyPath
    number: int


def expand_sweep(
    section: str, index: int, raw: Any, plugins: PluginLookup, locations: Locations
) -> Iterator[Point | UserError]:
    """The points of entry `index` of a section, in the order written; without a sweep, the entry itself."""
    at: KeyPath = (section, index)
    if not isinstance(raw, dict) or "sweep" not in raw:
        yield Point(raw, Where(at))
        return
    base = {key: value for key, value in raw.items() if key != "sweep"}
    try:
        choices = list(_choices(raw["sweep"], (*at, "sweep"), locations))
        paths = {path: None for choice, _ in choices for path in choice}
        if len(choices) > MAX_POINTS or len(paths) > MAX_PATHS:
            limits = f"{MAX_POINTS} points, or of more than {MAX_PATHS} options"
            raise locations.error(f"a sweep of more than {limits}", (*at, "sweep"))
        ends = shortest_ends(list(paths))
        forbidden = {"sweep", "label", *(["name"] if section == "strategies" else [])}
        for path, value in {p: v for choice, _ in choices for p, v in choice.items()}.items():
            if path in forbidden:
                hint = "a point in a list of points may have a `label`" if path != "sweep" else ""
                raise locations.error(f"'{path}' cannot be swept", value.at, hint)
    except UserError as error:
        yield error
        return
    for choice, label in choices:
        try:
            yield _point(section, base, at, choice, label, ends, plugins, locations)
        except UserError as error:
            yield error


def shortest_ends(paths: Sequence[str]) -> dict[str, str]:
    """Shortens each dotted path to the fewest last parts that no other path ends in; else it stays whole."""
    split = {path: path.split(".") for path in dict.fromkeys(paths)}

    def end(path: str) -> str:
        parts = split[path]
        for n in range(1, len(parts)):
            if not any(other != path and split[other][-n:] == parts[-n:] for other in split):
                return ".".join(parts[-n:])
        return path

    return {path: end(path) for path in split}


def _choices(sweep: Any, at: KeyPath, locations: Locations) -> Iterator[tuple[dict[str, _Value], str | None]]:
    """Yields the values by path, and the label, of each point."""
    if isinstance(sweep, dict) and sweep:
        yield from _product(sweep, at, locations)
    elif isinstance(sweep, list) and sweep:
        for number, point in enumerate(sweep):
            if not isinstance(point, dict) or not point:
                raise locations.error(
                    "a point of a sweep must be a map of option paths to values", (*at, number)
                )
            label = point.get("label")
            if label is not None and not isinstance(label, str):
                raise locations.error(f"a label must be a string, not {label!r}", (*at, number, "label"))
            rest = {str(key): value for key, value in point.items() if key != "label"}
            yield {k: _Value(v, (*at, number, k), number + 1) for k, v in rest.items()}, label
    else:
        raise locations.error(
            "a sweep must be a map of option paths to lists of values, or a list of points", at
        )


def _product(
    sweep: Mapping[Any, Any], at: KeyPath, locations: Locations
) -> Iterator[tuple[dict[str, _Value], None]]:
    axes: list[list[tuple[str, _Value]]] = []
    for key, values in sweep.items():
        if not isinstance(values, list) or not values:
            raise locations.error(f"the values of '{key}' must be a list of at least one", (*at, key))
        axes.append([(str(key), _Value(v, (*at, key, n), n + 1)) for n, v in enumerate(values)])
    if math.prod(len(axis) for axis in axes) > MAX_POINTS:
        raise locations.error(f"a sweep of more than {MAX_POINTS} points", at)
    for combination in itertools.product(*axes):
        yield dict(combination), None


def _point(
    section: str,
    base: dict[str, Any],
    at: KeyPath,
    choice: Mapping[str, _Value],
    label: str | None,
    ends: Mapping[str, str],
    plugins: PluginLookup,
    locations: Locations,
) -> Point:
    raw = copy.deepcopy(base)
    swept: dict[KeyPath, KeyPath] = {}
    # Outer paths come first, so that `generator` does not overwrite `generator.base`.
    for path, value in sorted(choice.items(), key=lambda item: item[0].count(".")):
        try:
            for place in assign(
                raw, SWEPT_SECTIONS[section], split_path("." + path)[1:], value.value, plugins, at
            ):
                swept[place] = value.at
        except NoSuchPath as missing:
            message = f"no option '{path}' to sweep: {missing.message}"
            key = value.at[:-1] if isinstance(value.at[-1], int) else value.at
            raise locations.error(message, key, missing.hint) from None
        expand_entry(section, raw)
    suffix = ",".join(f"{ends[path]}={in_label(value.value, value.number)}" for path, value in choice.items())
    return Point(raw, Where(at, swept), f"[{suffix}]" if suffix else "", label)
