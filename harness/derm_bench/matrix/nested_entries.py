"""Reads entries inside other entries: generators, data sets, and the `from`, `init` and members of classifiers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from derm_bench.matrix.entries import PREPROCESS, EntryReader, as_written
from derm_bench.matrix.locations import Locations, Where
from derm_bench.matrix.model import DatasetEntry, GeneratorUse, Init, TakenFrom
from derm_bench.matrix.options import PluginLookup
from derm_bench.matrix.short_forms import expand_classifier, expand_dataset
from derm_bench.matrix.sweep import Point
from derm_bench.matrix.validation_errors import quoted, shortened
from derm_bench.specs import ClassifierUse


class NestedEntryReader(EntryReader):
    """Reads generators, data sets and classifiers inside other entries. `datasets` are the data sets that `init` may
    refer to by label."""

    def __init__(
        self, locations: Locations, plugins: PluginLookup, datasets: Sequence[DatasetEntry] = ()
    ) -> None:
        super().__init__(locations, plugins)
        self.datasets = datasets

    def generator(self, raw: Any, where: Where) -> GeneratorUse | None:
        raw = {"name": raw} if isinstance(raw, str) else raw
        data = self.plugin_entry(GeneratorUse, raw, where, {})
        if data is None:
            return None
        if raw.get("extra_data") is not None:
            data["extra_data"] = self.init_dataset(raw["extra_data"], where.child("extra_data"))
            if data["extra_data"] is None:
                return None
        return self.build(GeneratorUse, {"label": data["name"], **data}, raw, where)

    def _numbers_for_names(self, classes: Any, where: Where) -> bool:
        """Reports what is no text in a list of classes; whether there is any."""
        places = [
            k
            for k, name in enumerate(classes if isinstance(classes, list) else ())
            if not isinstance(name, str)
        ]
        for k in places:
            self.report(
                where.child(k), f"a string is expected, got {shortened(classes[k])}", quoted(classes[k])
            )
        return bool(places)

    def dataset_entry(self, raw: Any, where: Where, point: Point | None = None) -> DatasetEntry | None:
        classes = raw.get("classes") if isinstance(raw, dict) else None
        names = [name for name in classes if isinstance(name, str)] if isinstance(classes, list) else []
        if twice := [name for name, n in Counter(names).items() if n > 1]:
            self.report(where.child("classes"), f"the class '{twice[0]}' is listed twice")
            return None
        if self._numbers_for_names(classes, where.child("classes")):
            return None
        data = self.plugin_entry(DatasetEntry, raw, where, {"preprocess": PREPROCESS})
        if data is None:
            return None
        data["label"] = self.label(data.get("label", data["name"]), point)
        return self.build(DatasetEntry, data, raw, where)

    def label(self, base: Any, point: Point | None) -> Any:
        if point is None or not isinstance(base, str):
            return base
        return point.label if point.label is not None else base + point.suffix

    def classifier_use(self, raw: Any, where: Where) -> ClassifierUse | None:
        """Reads a classifier inside another plugin's options: a bare name, or a map as under `classifiers`."""
        if isinstance(raw, ClassifierUse):
            raw = as_written(raw)
        raw = {"name": raw} if isinstance(raw, str) else raw
        data = self.plugin_entry(ClassifierUse, raw, where, {})
        if data is None:
            return None
        known = len(self.errors)
        expand_classifier(raw)
        data |= self.from_and_init(raw, where)
        use = self.build(ClassifierUse, data, raw, where)
        return use if len(self.errors) == known else None

    def from_and_init(self, raw: dict[str, Any], where: Where) -> dict[str, Any]:
        """Reads `from` and `init` of a classifier; a key that is not written is absent from the result."""
        found: dict[str, Any] = {}
        if raw.get("from") is not None:
            found["from"] = self.taken_from(raw["from"], where.child("from"))
        if raw.get("init") is not None:
            found["init"] = self.init(raw["init"], where.child("init"))
        return found

    def taken_from(self, raw: Any, where: Where) -> TakenFrom | None:
        if not isinstance(raw, dict):
            hint = "for example {generator: {name: dcgan}, part: discriminator}"
            self.report(where, f"`from` is a map of a generator or strategy and a part, not {raw!r}", hint)
            return None
        data = self.prepare_fields(TakenFrom, raw, where, {})
        known = len(self.errors)
        if raw.get("generator") is not None:
            data["generator"] = self.generator(raw["generator"], where.child("generator"))
        return self.build(TakenFrom, data, raw, where) if len(self.errors) == known else None

    def init(self, raw: Any, where: Where) -> Init | None:
        if not isinstance(raw, dict):
            self.report(where, f"`init` is a map of a dataset and a budget, not {raw!r}")
            return None
        data = self.prepare_fields(Init, raw, where, {})
        known = len(self.errors)
        if raw.get("dataset") is not None:
            data["dataset"] = self.init_dataset(raw["dataset"], where.child("dataset"))
        return self.build(Init, data, raw, where) if len(self.errors) == known else None

    def init_dataset(self, raw: Any, where: Where) -> DatasetEntry | None:
        """Reads the data set of `init` or `extra_data`: the label of one in the matrix, or an entry as under
        `datasets`."""
        if isinstance(raw, str):
            labelled = next((entry for entry in self.datasets if entry.label == raw), None)
            if labelled is not None:
                return labelled
            raw = {"name": raw}
        expand_dataset(raw)
        return self.dataset_entry(raw, where)
