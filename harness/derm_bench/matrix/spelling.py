"""Short spellings -> the long ones, on plain data: `dataset:`, bare strings, bare counts. Idempotent."""

from __future__ import annotations

from typing import Any

from derm_bench.matrix.source import Source

_LISTS = ("datasets", "strategies", "classifiers", "test_sets", "metrics")


def spell_out(raw: dict[str, Any], source: Source) -> None:
    """Changes `raw` in place. UserError: both `dataset` and `datasets`."""
    if "dataset" in raw:
        if "datasets" in raw:
            raise source.error("give dataset or datasets, not both", ("dataset",))
        raw["datasets"] = [raw.pop("dataset")]
        source.aliases[("datasets", 0)] = ("dataset",)
    if isinstance(raw.get("protocol"), str):
        raw["protocol"] = {"name": raw["protocol"]}
    if "executor" in raw:
        raw["executor"] = _named(raw["executor"])
    for key in _LISTS:
        if isinstance(raw.get(key), list):
            raw[key] = [_named(entry) for entry in raw[key]]
    for entry in _maps(raw.get("datasets")):
        spell_dataset(entry)
    for entry in _maps(raw.get("strategies")):
        spell_strategy(entry)
    for entry in _maps(raw.get("classifiers")):
        spell_classifier(entry)
    for entry in _maps(raw.get("test_sets")):
        if "dataset" in entry:
            entry["dataset"] = _named(entry["dataset"])
            spell_dataset(entry["dataset"])


def spell_entry(section: str, entry: dict[str, Any]) -> None:
    """As `spell_out`, for one entry of a section after a sweep put values into it."""
    if section == "datasets":
        spell_dataset(entry)
    elif section == "strategies":
        spell_strategy(entry)
    elif section == "classifiers":
        spell_classifier(entry)


def spell_strategy(entry: dict[str, Any]) -> None:
    if "generator" in entry:
        entry["generator"] = _named(entry["generator"])


def spell_classifier(entry: dict[str, Any]) -> None:
    """`from: {generator: dcgan}`, and the data set of `init`, which a bare string names by label or plugin."""
    source, init = entry.get("from"), entry.get("init")
    if isinstance(source, dict) and "generator" in source:
        source["generator"] = _named(source["generator"])
    if isinstance(init, dict):
        spell_dataset(init.get("dataset"))


def spell_dataset(entry: Any) -> None:
    if not isinstance(entry, dict):
        return
    if _is_count(entry.get("limit")):
        entry["limit"] = {"per_class": entry["limit"]}
    if isinstance(entry.get("train_fraction"), int | float) and not isinstance(entry["train_fraction"], bool):
        entry["train_fraction"] = [entry["train_fraction"]]
    classes = entry.get("classes")
    if isinstance(classes, list) and all(isinstance(name, str) for name in classes):
        entry["classes"] = {name: [name] for name in classes}
    elif isinstance(classes, dict):
        entry["classes"] = {name: [old] if isinstance(old, str) else old for name, old in classes.items()}


def _named(entry: Any) -> Any:
    return {"name": entry} if isinstance(entry, str) else entry


def _maps(entries: Any) -> list[dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
