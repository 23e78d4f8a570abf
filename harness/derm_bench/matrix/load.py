"""A matrix file -> a validated, resolved `Matrix`: presets, `--set`, sweeps, plugin options, then the rules.

Every error names the file, the dotted key path and the line where the value was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from derm_bench.errors import UserError, UserErrors, did_you_mean
from derm_bench.matrix.checks import problems
from derm_bench.matrix.invalid import Invalid, explain
from derm_bench.matrix.model import (
    ClassifierEntry,
    DatasetEntry,
    GeneratorUse,
    Matrix,
    PluginUse,
    StrategyEntry,
    TestSet,
)
from derm_bench.matrix.options import PluginLookup, compose_options
from derm_bench.matrix.overrides import apply_preset, apply_set
from derm_bench.matrix.shape import (
    ENTRY_KINDS,
    element_type,
    entry_fields,
    fields_of,
    is_path,
    keys_at,
    models_in,
    option_fields,
    value_type,
)
from derm_bench.matrix.source import Problem, Source, Where
from derm_bench.matrix.spelling import spell_out
from derm_bench.matrix.sweep import Point, expand
from derm_bench.matrix.unsupported import refuse_unsupported
from derm_bench.specs import ClassifierSpec, PluginSpec, TransformUse
from derm_bench.yamlio import load_yaml

Model = TypeVar("Model", bound=BaseModel)

DEFAULT_METRICS = ("fd_domain", "kid_domain")
IMAGE = frozenset({"image"})
PREPROCESS = frozenset({"preprocess"})
AUGMENT = frozenset({"image", "batch", "regulariser"})


def load_matrix(
    file: Path, plugins: PluginLookup, *, preset: str | None = None, sets: Sequence[str] = ()
) -> Matrix:
    """Reads and resolves a matrix. `sets` are `PATH=VALUE` strings, applied after `preset`, before sweeps.

    Raises UserError, or UserErrors with everything that is wrong, in the order of the file.
    """
    file = Path(file).absolute()
    document = load_yaml(file)
    source = Source(document, file)
    if not isinstance(document.data, dict):
        raise UserError("a matrix is a map with datasets, strategies and classifiers", file=file, line=1)
    raw: dict[str, Any] = {key: value for key, value in document.data.items() if key != "presets"}
    spell_out(raw, source)
    if preset is not None:
        apply_preset(raw, preset, document.data.get("presets"), plugins, source)
    for expression in sets:
        apply_set(raw, expression, plugins, source)
    return _Loader(source, plugins).matrix(raw, document.data.get("presets"))


class _Loader:
    """Plain data -> models. Errors are collected, so that one go shows all of them."""

    def __init__(self, source: Source, plugins: PluginLookup) -> None:
        self.source = source
        self.plugins = plugins
        self.errors: list[UserError] = []
        self.places: dict[str, list[Where]] = {}

    def report(self, where: Where, message: str, hint: str = "") -> None:
        self.errors.append(self.source.error(message, where.path, hint))

    def raise_errors(self) -> None:
        unique = list({str(error): error for error in self.errors}.values())
        unique.sort(key=lambda error: error.line or 0)
        if len(unique) == 1:
            raise unique[0]
        if unique:
            raise UserErrors(unique)

    # ---------------------------------------------------------------------------- whole

    def matrix(self, raw: dict[str, Any], presets: Any) -> Matrix:
        if presets is not None and not isinstance(presets, dict):
            self.report(Where(("presets",)), "presets are a map of names to {key path: value}")
        data = {"name": self.source.file.stem, "metrics": [{"name": name} for name in DEFAULT_METRICS], **raw}
        data["datasets"] = self.section("datasets", data, self.dataset)
        data["strategies"] = self.section("strategies", data, self.strategy)
        data["classifiers"] = self.section("classifiers", data, self.classifier)
        data["metrics"] = self.plain_list(data, "metrics", self.metric)
        if "test_sets" in data:
            data["test_sets"] = self.plain_list(data, "test_sets", self.test_set)
        if "seeds" in data:
            data["seeds"] = self.seeds(data["seeds"])
        matrix = self.build(Matrix, {**data, "file": self.source.file}, raw, Where())
        if matrix is None or self.errors:
            self.raise_errors()
        assert matrix is not None
        self.settle(problems(matrix, self.plugins))
        self.settle(refuse_unsupported(matrix))
        self.raise_errors()
        return matrix

    def settle(self, found: Iterable[Problem]) -> None:
        """Reports problems whose paths are those of the resolved matrix, where their entries were written."""
        for problem in found:
            path = problem.path
            where = Where().child(*path)
            if len(path) > 1 and path[0] in self.places and isinstance(path[1], int):
                where = self.places[str(path[0])][path[1]].child(*path[2:])
            self.report(where, problem.message, problem.hint)

    def section(self, key: str, data: Mapping[str, Any], load: Any) -> Any:
        """The entries of a list that may sweep, expanded."""
        entries = data.get(key, [])
        if not isinstance(entries, list):
            self.report(Where((key,)), f"{key} is a list")
            return ()
        if not entries and key != "classifiers":
            self.report(Where((key,)), f"give at least one of {key}")
        loaded = []
        places = self.places.setdefault(key, [])
        for index, entry in enumerate(entries):
            for point in expand(key, index, entry, self.plugins, self.source):
                if isinstance(point, UserError):
                    self.errors.append(point)
                elif (model := load(point)) is not None:
                    loaded.append(model)
                    places.append(point.where)
        return tuple(loaded)

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
                Where(("seeds",)), f"seeds is a list or a map of lists, not {raw!r}", "for example [0, 1, 2]"
            )
            return {}
        if "together" in raw:
            hint = did_you_mean("together", ["split", "generator", "classifier"])
            self.report(Where(("seeds", "together")), "unknown key 'together'", hint)
        return {**raw, "together": None}

    # -------------------------------------------------------------------------- entries

    def dataset(self, point: Point) -> DatasetEntry | None:
        return self.dataset_entry(point.raw, point.where, point)

    def dataset_entry(self, raw: Any, where: Where, point: Point | None = None) -> DatasetEntry | None:
        data = self.plugin_entry(DatasetEntry, raw, where, {"preprocess": PREPROCESS})
        if data is None:
            return None
        data["label"] = self.label(data.get("label", raw["name"]), point)
        return self.build(DatasetEntry, data, raw, where)

    def classifier(self, point: Point) -> ClassifierEntry | None:
        data = self.plugin_entry(ClassifierEntry, point.raw, point.where, {})
        if data is None:
            return None
        spec: ClassifierSpec = self.plugins.get("classifier", point.raw["name"])
        named = getattr(data["options"], spec.label_option, None) if spec.label_option else None
        data["label"] = self.label(data.get("label", named or point.raw["name"]), point)
        return self.build(ClassifierEntry, data, point.raw, point.where)

    def strategy(self, point: Point) -> StrategyEntry | None:
        raw, where = point.raw, point.where
        if not isinstance(raw, dict):
            self.report(where, f"a strategy is a name or a map, not {raw!r}")
            return None
        data = self.prepare_fields(StrategyEntry, raw, where, {"augment": AUGMENT})
        known = len(self.errors)
        if raw.get("generator") is not None:
            data["generator"] = self.generator(raw["generator"], where.child("generator"))
        if isinstance(raw.get("name"), str):
            data["name"] = self.label(raw["name"], point)
        entry = self.build(StrategyEntry, data, raw, where)
        return entry if len(self.errors) == known else None

    def generator(self, raw: Any, where: Where) -> GeneratorUse | None:
        data = self.plugin_entry(GeneratorUse, raw, where, {})
        if data is None:
            return None
        return self.build(GeneratorUse, {"label": raw["name"], **data}, raw, where)

    def metric(self, raw: Any, where: Where) -> PluginUse | None:
        data = self.plugin_entry(PluginUse, raw, where, {})
        return None if data is None else self.build(PluginUse, data, raw, where)

    def test_set(self, raw: Any, where: Where) -> TestSet | None:
        if not isinstance(raw, dict):
            self.report(where, f"a test set is a map with a name, not {raw!r}")
            return None
        data = self.prepare_fields(TestSet, raw, where, {})
        if raw.get("dataset") is not None:
            data["dataset"] = self.dataset_entry(raw["dataset"], where.child("dataset"))
            if data["dataset"] is None:
                return None
        return self.build(TestSet, data, raw, where)

    def label(self, base: Any, point: Point | None) -> Any:
        if point is None or not isinstance(base, str):
            return base
        return point.label if point.label is not None else base + point.suffix

    # ------------------------------------------------------------- options and transforms

    def plugin_entry(
        self, model: type[BaseModel], raw: Any, where: Where, phases: Mapping[str, frozenset[str]]
    ) -> dict[str, Any] | None:
        """The entry's own fields and its validated `options`; None (reported) where the plugin or its options fail."""
        kind = ENTRY_KINDS[model]
        if not isinstance(raw, dict) or not isinstance(raw.get("name"), str):
            self.report(
                where, f"a {kind} needs the name of a plugin", f"for example {{name: {_example(self, kind)}}}"
            )
            return None
        spec = self.spec(kind, raw["name"], where.child("name"))
        if spec is None:
            return None
        own = entry_fields(model)
        clash = sorted(set(own) & set(option_fields(spec)))
        if clash:
            self.report(
                where, f"the plugin '{spec.name}' has an option '{clash[0]}' that every {kind} entry has"
            )
            return None
        values = {key: value for key, value in raw.items() if key not in own}
        options = self.options(spec, model, raw, values, where)
        data = self.prepare_fields(
            model, {k: v for k, v in raw.items() if k in own and k != "preset"}, where, phases
        )
        return None if options is None else {**data, "options": options}

    def spec(self, kind: str, name: str, where: Where) -> PluginSpec | None:
        try:
            return cast(PluginSpec, self.plugins.get(kind, name))
        except UserError as error:
            self.report(where, error.message, error.hint)
            return None

    def options(
        self, spec: PluginSpec, model: type[BaseModel], raw: Any, values: Mapping[str, Any], where: Where
    ) -> BaseModel | None:
        """The plugin's options from what its `preset` says and `values` above it; None (reported) where invalid."""
        preset: Mapping[str, Any] = {}
        if isinstance(raw, dict) and raw.get("preset") is not None:
            if raw["preset"] not in spec.presets:
                hint = did_you_mean(str(raw["preset"]), spec.presets) if spec.presets else "it brings none"
                self.report(where.child("preset"), f"'{spec.name}' has no preset '{raw['preset']}'", hint)
                return None
            preset = spec.presets[raw["preset"]]
        fields = option_fields(spec)
        known = len(self.errors)
        merged = {
            key: self.prepare(fields[key].annotation, value, where.child(key), IMAGE)
            if key in fields
            else value
            for key, value in {**preset, **values}.items()
        }
        options = self.build(
            compose_options(spec), merged, {**preset, **values}, where, shape=model, shown=raw
        )
        if options is None or len(self.errors) > known:
            return None
        return self.complete(options, where)

    def complete(self, options: BaseModel, where: Where) -> BaseModel:
        """Transforms that a plugin has by default get validated options as well."""
        update: dict[str, Any] = {}
        for name in type(options).model_fields:
            value = getattr(options, name)
            if isinstance(value, tuple) and any(isinstance(use, TransformUse) for use in value):
                uses = [
                    self.transform(_spelled(use), where.child(name), IMAGE) if _bare(use) else use
                    for use in value
                ]
                update[name] = tuple(use for use in uses if use is not None)
        return options.model_copy(update=update) if update else options

    def transform(self, raw: Any, where: Where, phases: frozenset[str]) -> TransformUse | None:
        """One `hflip`, `{rotate: 30}`, `{bilateral: {d: 9}}` or `{name: rotate, degrees: 30}`."""
        if isinstance(raw, str):
            raw = {"name": raw}
        if not isinstance(raw, dict) or not (isinstance(raw.get("name"), str) or len(raw) == 1):
            self.report(where, f"a transform is a name or {{name: options}}, not {raw!r}")
            return None
        name, values, inside = (
            raw.get("name"),
            {k: v for k, v in raw.items() if k not in ("name", "preset")},
            where,
        )
        if name is None:
            ((name, values),) = raw.items()
            inside = where.child(name)
        spec = self.spec("transform", str(name), where.child("name") if "name" in raw else inside)
        if spec is None or not self.fits(spec, inside, phases):
            return None
        values = {} if values is None else values
        if not isinstance(values, dict):
            scalar = getattr(spec, "scalar", None)
            if scalar is None:
                self.report(inside, f"'{name}' takes a map of options, not {values!r}")
                return None
            values = {scalar: values}
            options = self.options(spec, TransformUse, {"name": name, **values}, values, inside)
        else:
            options = self.options(
                spec,
                TransformUse,
                {**raw, "name": name} if "name" in raw else {"name": name, **values},
                values,
                inside,
            )
        return None if options is None else TransformUse(name=spec.name, options=options)

    def fits(self, spec: PluginSpec, where: Where, phases: frozenset[str]) -> bool:
        phase = getattr(spec, "phase", "")
        if phase not in phases:
            place = "under a data set's preprocess" if phase == "preprocess" else "in a strategy's augment"
            self.report(where, f"'{spec.name}' is a {phase} transform: it stands {place}, not here")
        return phase in phases

    def prepare_fields(
        self,
        model: type[BaseModel],
        raw: Mapping[str, Any],
        where: Where,
        phases: Mapping[str, frozenset[str]],
    ) -> dict[str, Any]:
        fields = entry_fields(model)
        return {
            key: self.prepare(fields[key].annotation, value, where.child(key), phases.get(key, IMAGE))
            if key in fields
            else value
            for key, value in raw.items()
        }

    def prepare(self, annotation: Any, raw: Any, where: Where, phases: frozenset[str]) -> Any:
        """Makes paths absolute and transforms whole, wherever the type of the value has them."""
        if isinstance(raw, str) and is_path(annotation):
            return str((self.source.base(where.path) / Path(raw).expanduser()).resolve())
        if isinstance(raw, list):
            inner = element_type(annotation)
            if inner is TransformUse:
                uses = [self.transform(item, where.child(i), phases) for i, item in enumerate(raw)]
                return [use for use in uses if use is not None]
            return [self.prepare(inner, item, where.child(i), phases) for i, item in enumerate(raw)]
        if isinstance(raw, dict):
            models = [model for model in models_in(annotation) if model not in ENTRY_KINDS]
            types = {
                key: info.annotation
                for model in models
                for key, info in fields_of(model, raw, self.plugins).items()
            }
            free = value_type(annotation)
            return {
                key: self.prepare(types.get(key, free), value, where.child(key), phases)
                for key, value in raw.items()
            }
        return raw

    def build(
        self,
        model: type[Model],
        data: Mapping[str, Any],
        raw: Any,
        where: Where,
        *,
        shape: type[BaseModel] | None = None,
        shown: Any = None,
    ) -> Model | None:
        """Validates `data`; what is wrong is reported where `raw` has it. `shape` is the entry that the keys stand in."""
        try:
            return model.model_validate(dict(data))
        except ValidationError as error:
            for problem in explain(error, raw):
                self.report(
                    where.child(*problem.path),
                    problem.message,
                    self.hint(problem, shape or model, shown or raw),
                )
        return None

    def hint(self, problem: Invalid, shape: type[BaseModel], raw: Any) -> str:
        if not problem.unknown_key:
            return ""
        valid = keys_at(shape, raw, problem.path[:-1], self.plugins)
        return did_you_mean(str(problem.path[-1]), valid)


def _bare(use: Any) -> bool:
    return isinstance(use, TransformUse) and not isinstance(use.options, BaseModel)


def _spelled(use: TransformUse) -> Any:
    return {use.name: use.options}


def _example(loader: _Loader, kind: str) -> str:
    return next(iter(loader.plugins.names(kind)), "...")
