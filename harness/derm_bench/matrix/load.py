"""Loads a matrix file into a validated, resolved `Matrix`: presets, `--set`, sweeps, plugin options, then the rules.

Every error names the file, the dotted key path and the line where the value was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from derm_bench.errors import UserError, UserErrors, did_you_mean
from derm_bench.matrix.checks import problems
from derm_bench.matrix.entries import AUGMENT
from derm_bench.matrix.locations import Locations, Problem, Where
from derm_bench.matrix.meaningless import unmatched
from derm_bench.matrix.model import (
    ClassifierEntry,
    DatasetEntry,
    ExecutorUse,
    Matrix,
    MetricUse,
    StrategyEntry,
    TestSet,
)
from derm_bench.matrix.nested_entries import NestedEntryReader
from derm_bench.matrix.options import PluginLookup
from derm_bench.matrix.overrides import apply_preset, apply_set
from derm_bench.matrix.short_forms import expand_short_forms
from derm_bench.matrix.sweep import Point, expand_sweep
from derm_bench.matrix.unsupported import refuse_unsupported
from derm_bench.specs import ClassifierSpec, MetricSpec
from derm_bench.yamlio import load_yaml

DEFAULT_METRICS = (
    "mmd_domain",
    "coverage_domain",
    "density_domain",
    "nn_accuracy_domain",
    "sharpness",
)
SCREEN = ("nn_ratio", "authenticity")
"""Metrics that are added to the default if a generator of the matrix asks for them (`GeneratorSpec.screen`)."""

FILTER = "dermagan-cnn"
"""The classifier that grades samples by confidence by default: a small network, which any machine trains in minutes."""


def load_matrix(
    file: Path, plugins: PluginLookup, *, presets: Sequence[str] = (), sets: Sequence[str] = ()
) -> Matrix:
    """Reads and resolves a matrix. `presets` are applied in order; `sets` are `PATH=VALUE` strings, applied after
    them and before sweeps.

    Raises UserError, or UserErrors with all errors in the order of the file.
    """
    file = Path(file).absolute()
    document = load_yaml(file)
    locations = Locations(document, file)
    if not isinstance(document.data, dict):
        raise UserError("a matrix is a map with datasets, strategies and classifiers", file=file, line=1)
    raw: dict[str, Any] = {key: value for key, value in document.data.items() if key != "presets"}
    expand_short_forms(raw, locations)
    for preset in presets:
        apply_preset(raw, preset, document.data.get("presets"), plugins, locations)
    for expression in sets:
        apply_set(raw, expression, plugins, locations)
    return _Loader(locations, plugins).matrix(raw, document.data.get("presets"))


class _Loader(NestedEntryReader):
    """Turns plain data into models. Errors are collected, so that all of them are shown at once."""

    def __init__(self, locations: Locations, plugins: PluginLookup) -> None:
        super().__init__(locations, plugins)
        self.places: dict[str, list[Where]] = {}

    def _asks_for_screen(self, strategies: Sequence[StrategyEntry] | None) -> bool:
        """Whether a generator of the strategies asks for the screen for copies."""
        uses = [entry.generator for entry in strategies or () if entry.generator is not None]
        return any(self.plugins.get("generator", use.name).screen for use in uses)

    def raise_errors(self) -> None:
        unique = list({str(error): error for error in self.errors}.values())
        unique.sort(key=lambda error: error.line or 0)
        if len(unique) == 1:
            raise unique[0]
        if unique:
            raise UserErrors(unique) from next(filter(None, (error.__cause__ for error in unique)), None)

    # ---------------------------------------------------------------------------- whole

    def matrix(self, raw: dict[str, Any], presets: Any) -> Matrix:
        if presets is not None and not isinstance(presets, dict):
            self.report(Where(("presets",)), "presets are a map of names to {key path: value}")
        data = {
            "name": self.locations.file.stem,
            "metrics": [{"name": name} for name in DEFAULT_METRICS],
            **raw,
        }
        data["datasets"] = self.datasets = self.section("datasets", data, self.dataset)
        data["strategies"] = self.section("strategies", data, self.strategy)
        data["classifiers"] = self.section("classifiers", data, self.classifier)
        if "metrics" not in raw and self._asks_for_screen(data["strategies"]):
            data["metrics"] = [*data["metrics"], *({"name": name} for name in SCREEN)]
        data["metrics"] = self.plain_list(data, "metrics", self.metric)
        if "executor" in data:
            data["executor"] = self.executor(data["executor"])
        if data.get("test_sets") == []:
            hint = "leave the key out for the test part of the split"
            self.report(Where(("test_sets",)), "give at least one of test_sets", hint)
        if "test_sets" in data:
            data["test_sets"] = self.plain_list(data, "test_sets", self.test_set)
        if "seeds" in data:
            data["seeds"] = self.seeds(data["seeds"])
        matrix = self.build(Matrix, {**data, "file": self.locations.file}, raw, Where())
        if matrix is None or self.errors:
            self.raise_errors()
        assert matrix is not None
        self.report_all(problems(matrix, self.plugins))
        self.report_all(refuse_unsupported(matrix))
        if not any(self.overridden(place) for place in ("seeds", "datasets")):
            self.report_all(unmatched(matrix))
        self.raise_errors()
        matrix._locate_error = self.error_at
        return matrix

    def overridden(self, section: str) -> bool:
        """Whether a preset or `--set` has changed a section. What such a change leaves without effect elsewhere in the
        file is no mistake."""
        return any(place[0] == section for place in self.locations.overrides)

    def error_at(self, message: str, path: tuple[str | int, ...], hint: str) -> UserError:
        """An error at a path of the resolved matrix, located where that value was written."""
        return self.locations.error(message, self.where(path).path, hint)

    def where(self, path: tuple[str | int, ...]) -> Where:
        """The place in the file that a path of the resolved matrix comes from; an entry may come from a sweep."""
        if len(path) > 1 and path[0] in self.places and isinstance(path[1], int):
            return self.places[str(path[0])][path[1]].child(*path[2:])
        return Where().child(*path)

    def report_all(self, found: Iterable[Problem]) -> None:
        """Reports problems of the resolved matrix where their entries were written."""
        for problem in found:
            self.report(self.where(problem.path), problem.message, problem.hint, problem.cause)

    def section(self, key: str, data: Mapping[str, Any], load: Any) -> Any:
        """Loads the entries of a list and expands their sweeps."""
        entries = data.get(key, [])
        if not isinstance(entries, list):
            self.report(Where((key,)), f"{key} must be a list")
            return ()
        if not entries and key != "classifiers":
            self.report(Where((key,)), f"give at least one of {key}")
        loaded = []
        places = self.places.setdefault(key, [])
        for index, entry in enumerate(entries):
            seen: dict[str, str] = {}
            for point in expand_sweep(key, index, entry, self.plugins, self.locations):
                if isinstance(point, UserError):
                    self.errors.append(point)
                elif (model := load(point)) is not None:
                    self.refuse_equal(model, point, seen)
                    loaded.append(model)
                    places.append(point.where)
        return tuple(loaded)

    def refuse_equal(self, model: BaseModel, point: Point, seen: dict[str, str]) -> None:
        """Reports a point of a sweep that differs from another one in nothing but its label."""
        named = "name" if isinstance(model, StrategyEntry) else "label"
        content, label = model.model_dump_json(exclude={named}, fallback=str), getattr(model, named)
        if content in seen:
            self.report(point.where, f"'{label}' is the same as '{seen[content]}'", "leave one of them out")
        seen[content] = label

    def plain_list(self, data: Mapping[str, Any], key: str, load: Any) -> Any:
        entries = data[key]
        if not isinstance(entries, list):
            return entries
        loaded = [load(entry, Where((key, index))) for index, entry in enumerate(entries)]
        return tuple(model for model in loaded if model is not None)

    def seeds(self, raw: Any) -> Any:
        if isinstance(raw, list):
            return {"together": raw}
        if not isinstance(raw, dict):
            self.report(
                Where(("seeds",)),
                f"seeds must be a list or a map of lists, not {raw!r}",
                "for example [0, 1, 2]",
            )
            return {}
        if "together" in raw:
            hint = did_you_mean("together", ["split", "generator", "classifier"])
            self.report(Where(("seeds", "together")), "unknown key 'together'", hint)
        return {**raw, "together": None}

    # -------------------------------------------------------------------------- entries

    def dataset(self, point: Point) -> DatasetEntry | None:
        return self.dataset_entry(point.raw, point.where, point)

    def classifier(self, point: Point) -> ClassifierEntry | None:
        data = self.plugin_entry(ClassifierEntry, point.raw, point.where, {})
        if data is None:
            return None
        spec: ClassifierSpec = self.plugins.get("classifier", point.raw["name"])
        named = getattr(data["options"], spec.label_option, None) if spec.label_option else None
        data["label"] = self.label(data.get("label", named or data["name"]), point)
        known = len(self.errors)
        data |= self.from_and_init(point.raw, point.where)
        entry = self.build(ClassifierEntry, data, point.raw, point.where)
        return entry if len(self.errors) == known else None

    def strategy(self, point: Point) -> StrategyEntry | None:
        raw, where = point.raw, point.where
        if not isinstance(raw, dict):
            self.report(where, f"a strategy must be a name or a map, not {raw!r}")
            return None
        data = self.prepare_fields(StrategyEntry, raw, where, {"augment": AUGMENT})
        known = len(self.errors)
        if raw.get("generator") is not None:
            data["generator"] = self.generator(raw["generator"], where.child("generator"))
        if isinstance(raw.get("name"), str):
            data["name"] = self.label(raw["name"], point)
        data |= self.filtered(raw, where)
        entry = self.build(StrategyEntry, data, raw, where)
        return entry if len(self.errors) == known else None

    def filtered(self, raw: dict[str, Any], where: Where) -> dict[str, Any]:
        """The `synthetic` of a strategy with the classifier of its filter, if it is filtered by confidence."""
        synthetic = raw.get("synthetic")
        if not isinstance(synthetic, dict):
            return {}
        stated = synthetic.get("filter")
        if not isinstance(stated, dict) or ("classifier" not in stated and stated.get("by") != "confidence"):
            return {}
        grader = stated.get("classifier") or FILTER
        use = self.classifier_use(grader, where.child("synthetic", "filter", "classifier"))
        return {"synthetic": {**synthetic, "filter": {**stated, "classifier": use}}}

    def metric(self, raw: Any, where: Where) -> MetricUse | None:
        data = self.plugin_entry(MetricUse, raw, where, {})
        if data is None:
            return None
        spec: MetricSpec = self.plugins.get("metric", raw["name"])
        if data.get("label") and spec.level != "images":
            message = f"'{spec.name}' is a metric of predictions, and its column has its name"
            self.report(where.child("label"), message, "leave label out")
            return None
        data["label"] = data.get("label") or spec.label_of(data["options"])
        return self.build(MetricUse, data, raw, where)

    def executor(self, raw: Any) -> ExecutorUse | None:
        where = Where(("executor",))
        data = self.plugin_entry(ExecutorUse, raw, where, {})
        return None if data is None else self.build(ExecutorUse, data, raw, where)

    def test_set(self, raw: Any, where: Where) -> TestSet | None:
        if not isinstance(raw, dict):
            self.report(where, f"a test set must be a map with a name, not {raw!r}")
            return None
        data = self.prepare_fields(TestSet, raw, where, {})
        if raw.get("dataset") is not None:
            data["dataset"] = self.dataset_entry(raw["dataset"], where.child("dataset"))
            if data["dataset"] is None:
                return None
        return self.build(TestSet, data, raw, where)
