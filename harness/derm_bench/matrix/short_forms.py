"""Expands the short forms of a matrix in plain data: `dataset:`, bare strings, bare counts. Idempotent."""

from __future__ import annotations

from typing import Any

from derm_bench.matrix.locations import Locations

_LISTS = ("datasets", "strategies", "classifiers", "test_sets", "metrics")


def expand_short_forms(raw: dict[str, Any], locations: Locations) -> None:
    """Expands all short forms of a matrix, in place. Raises UserError when it has both `dataset` and `datasets`."""
    if "dataset" in raw:
        if "datasets" in raw:
            raise locations.error("give dataset or datasets, not both", ("dataset",))
        raw["datasets"] = [raw.pop("dataset")]
        locations.aliases[("datasets", 0)] = ("dataset",)
    if isinstance(raw.get("protocol"), str):
        raw["protocol"] = {"name": raw["protocol"]}
    if "executor" in raw:
        raw["executor"] = _named(raw["executor"])
    for key in _LISTS:
        if isinstance(raw.get(key), list):
            raw[key] = [_named(entry) for entry in raw[key]]
    for entry in _maps(raw.get("datasets")):
        expand_dataset(entry)
    for entry in _maps(raw.get("strategies")):
        expand_strategy(entry)
    for entry in _maps(raw.get("classifiers")):
        expand_classifier(entry)
    for entry in _maps(raw.get("test_sets")):
        if "dataset" in entry:
            entry["dataset"] = _named(entry["dataset"])
            expand_dataset(entry["dataset"])


def expand_entry(section: str, entry: dict[str, Any]) -> None:
    """Expands one entry of a section, in place, after a sweep has put values into it."""
    if section == "datasets":
        expand_dataset(entry)
    elif section == "strategies":
        expand_strategy(entry)
    elif section == "classifiers":
        expand_classifier(entry)


def expand_strategy(entry: dict[str, Any]) -> None:
    if "generator" in entry:
        entry["generator"] = _named(entry["generator"])


def expand_classifier(entry: dict[str, Any]) -> None:
    """Expands `from: {generator: dcgan}` and the data set of `init`, in place. A bare string under `init.dataset`
    stays: it is a label, or else a plugin."""
    taken_from, init = entry.get("from"), entry.get("init")
    if isinstance(taken_from, dict) and "generator" in taken_from:
        taken_from["generator"] = _named(taken_from["generator"])
    if isinstance(init, dict):
        expand_dataset(init.get("dataset"))


def expand_dataset(entry: Any) -> None:
    if not isinstance(entry, dict):
        return
    if _is_count(entry.get("limit")):
        entry["limit"] = {"per_class": entry["limit"]}
    if isinstance(entry.get("train_fraction"), int | float) and not isinstance(entry["train_fraction"], bool):
        entry["train_fraction"] = [entry["train_fraction"]]
    classes: Any = entry.get("classes")
    if is_list_of_classes(classes):
        entry["classes"] = {name: [name] for name in classes}
    elif isinstance(classes, dict):
        entry["classes"] = {
            name: [old] if isinstance(old, str | int | float) else old for name, old in classes.items()
        }


def is_list_of_classes(classes: Any) -> bool:
    """Whether `classes` is a list of different names. Another list stays as it is, so that it can be refused."""
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        return False
    return len(set(classes)) == len(classes)


def _named(entry: Any) -> Any:
    return {"name": entry} if isinstance(entry, str) else entry


def _maps(entries: Any) -> list[dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
