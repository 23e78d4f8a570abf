"""Reads plugin entries of a matrix: their own fields and the validated options of the plugin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from derm_bench.errors import UserError, did_you_mean
from derm_bench.matrix.grammar import (
    ENTRY_KINDS,
    element_type,
    entry_fields,
    keys_at,
    option_fields,
)
from derm_bench.matrix.locations import Locations, Where
from derm_bench.matrix.options import PluginLookup, compose_options, unused_options
from derm_bench.matrix.path_types import names_a_path, type_below
from derm_bench.matrix.scalars import mistaken_scalars
from derm_bench.matrix.validation_errors import InvalidValue, place_in, readable_errors, shortened
from derm_bench.options.paths import takes_paths
from derm_bench.plugins import canonical
from derm_bench.plugins.culprit import PluginBug, blaming
from derm_bench.specs import ClassifierUse, DatasetUse, PluginSpec, TransformUse

Model = TypeVar("Model", bound=BaseModel)

MAX_HINTS = 100

IMAGE = frozenset({"image"})
PREPROCESS = frozenset({"preprocess"})
AUGMENT = frozenset({"image", "batch", "regulariser"})


class EntryReader(ABC):
    """Reads entries and collects errors. A method that has reported an error returns None."""

    def __init__(self, locations: Locations, plugins: PluginLookup) -> None:
        self.locations = locations
        self.plugins = plugins
        self.errors: list[UserError] = []

    def report(self, where: Where, message: str, hint: str = "", cause: BaseException | None = None) -> None:
        error = self.locations.error(message, where.path, hint)
        error.__cause__ = cause
        self.errors.append(error)

    def plugin_entry(
        self, model: type[BaseModel], raw: Any, where: Where, phases: Mapping[str, frozenset[str]]
    ) -> dict[str, Any] | None:
        """The fields of the entry and its validated `options`; None after a reported error."""
        kind = ENTRY_KINDS[model]
        if not isinstance(raw, dict) or not isinstance(raw.get("name"), str):
            self.report(
                where, f"a {kind} needs the name of a plugin", f"for example {{name: {self.example(kind)}}}"
            )
            return None
        spec = self.spec(kind, raw["name"], where.child("name"))
        if spec is None:
            return None
        own = entry_fields(model)
        clash = sorted(set(own) & set(option_fields(spec)) - {"classes"})
        if clash:
            self.report(
                where, f"the plugin '{spec.name}' has an option '{clash[0]}' that every {kind} entry has"
            )
            return None
        values = {key: value for key, value in raw.items() if key not in own}
        if kind == "dataset" and "classes" in option_fields(spec) and raw.get("classes") is not None:
            values["classes"] = _source_labels(raw["classes"])
        options = self.options(spec, model, raw, values, where)
        data = self.prepare_fields(
            model, {k: v for k, v in raw.items() if k in own and k != "preset"}, where, phases
        )
        return (
            None
            if options is None
            else {**data, "name": self.resolved(kind, raw["name"], spec), "options": options}
        )

    def resolved(self, kind: str, written: str, spec: PluginSpec) -> str:
        """The name of a plugin as keys and tables have it: bare if that means this plugin, whatever was written."""
        try:
            if self.plugins.get(kind, spec.name) is spec:
                return spec.name
        except UserError:  # several distributions have a plugin of this name
            pass
        distribution, _, bare = written.rpartition(":")
        return f"{canonical(distribution)}:{bare}"

    def spec(self, kind: str, name: str, where: Where) -> PluginSpec | None:
        try:
            return cast(PluginSpec, self.plugins.get(kind, name))
        except UserError as error:
            self.report(where, error.message, error.hint)
            return None

    def options(
        self, spec: PluginSpec, model: type[BaseModel], raw: Any, values: Mapping[str, Any], where: Where
    ) -> BaseModel | None:
        """The validated options: `values` override the plugin's `preset`. None after a reported error."""
        preset: Mapping[str, Any] = {}
        if isinstance(raw, dict) and raw.get("preset") is not None:
            name = raw["preset"]
            if not isinstance(name, str) or name not in spec.presets:
                hint = did_you_mean(str(name), spec.presets) if spec.presets else "it has no presets"
                self.report(where.child("preset"), f"'{spec.name}' has no preset {name!r}", hint)
                return None
            preset = spec.presets[name]
        fields = option_fields(spec)
        known = len(self.errors)
        merged = {
            key: self.prepare(fields[key].annotation, value, where.child(key), IMAGE)
            if key in fields
            else value
            for key, value in {**preset, **values}.items()
        }
        try:
            with blaming(spec, self.plugins, "validation of its options"):
                options = self.build(
                    compose_options(spec), merged, {**preset, **values}, where, shape=model, shown=raw
                )
        except PluginBug as bug:
            self.report(where, bug.message, bug.hint, bug.__cause__)
            return None
        if options is None or len(self.errors) > known:
            return None
        return self.complete(options, where)

    def complete(self, options: BaseModel, where: Where) -> BaseModel:
        """Validates the options of transforms and classifiers in the plugin's own defaults too."""
        update: dict[str, Any] = {}
        for name in type(options).model_fields:
            value = getattr(options, name)
            if isinstance(value, tuple) and any(_bare(use) for use in value):
                uses = [self.whole(use, where.child(name)) if _bare(use) else use for use in value]
                update[name] = tuple(use for use in uses if use is not None)
        return options.model_copy(update=update) if update else options

    def whole(self, use: TransformUse | ClassifierUse, where: Where) -> TransformUse | ClassifierUse | None:
        """Validates the options of a transform or classifier that have not been validated yet."""
        if isinstance(use, TransformUse):
            return self.transform({use.name: use.options}, where, IMAGE)
        return self.classifier_use(as_written(use), where)

    @abstractmethod
    def classifier_use(self, raw: Any, where: Where) -> ClassifierUse | None:
        """Reads a classifier inside another plugin's options. A subclass implements it, since it may have `from` and
        `init`."""

    def dataset_use(self, raw: Any, where: Where) -> DatasetUse | None:
        """Reads a data set inside another one's options: a bare name, or a map of its options."""
        raw = {"name": raw} if isinstance(raw, str) else raw
        data = self.plugin_entry(DatasetUse, raw, where, {})
        return None if data is None else self.build(DatasetUse, data, raw, where)

    def transform(self, raw: Any, where: Where, phases: frozenset[str]) -> TransformUse | None:
        """Reads one transform: `hflip`, `{rotate: 30}`, `{bilateral: {d: 9}}` or `{name: rotate, degrees: 30}`."""
        if isinstance(raw, str):
            raw = {"name": raw}
        if not isinstance(raw, dict) or not (isinstance(raw.get("name"), str) or len(raw) == 1):
            self.report(where, f"a transform must be a name or {{name: options}}, not {raw!r}")
            return None
        inside = where
        if "name" not in raw:
            ((name, value),) = raw.items()
            inside = where.child(name)
            raw = {**value, "name": str(name)} if isinstance(value, dict) else {"name": str(name), "": value}
        spec = self.spec("transform", raw["name"], where.child("name") if inside is where else inside)
        if spec is None or not self.fits(spec, inside, phases):
            return None
        if "" in raw and (raw := self.scalar(spec, raw, inside)) is None:
            return None
        values = {key: value for key, value in raw.items() if key not in ("name", "preset")}
        options = self.options(spec, TransformUse, raw, values, inside)
        if options is None:
            return None
        return TransformUse(name=self.resolved("transform", raw["name"], spec), options=options)

    def scalar(self, spec: PluginSpec, raw: Mapping[str, Any], where: Where) -> dict[str, Any] | None:
        """Turns the bare value of `{rotate: 30}`, stored under the key "", into the option that it sets."""
        option, value = getattr(spec, "scalar", None), raw[""]
        if value is None:
            return {"name": raw["name"]}
        if option is None:
            self.report(where, f"'{spec.name}' takes a map of options, not {value!r}")
            return None
        return {"name": raw["name"], option: value}

    def fits(self, spec: PluginSpec, where: Where, phases: frozenset[str]) -> bool:
        phase = getattr(spec, "phase", "")
        if phase not in phases:
            place = "under a data set's preprocess" if phase == "preprocess" else "in a strategy's augment"
            self.report(where, f"'{spec.name}' is a {phase} transform: it belongs {place}, not here")
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
        """Makes paths absolute and reads transforms and classifiers, wherever `annotation` has them."""
        if isinstance(raw, str) and takes_paths(annotation):
            return self.path(raw, annotation, where)
        if isinstance(raw, list):
            inner = element_type(annotation)
            if inner is TransformUse:
                uses = [self.transform(item, where.child(i), phases) for i, item in enumerate(raw)]
                return [use for use in uses if use is not None]
            if inner is DatasetUse:
                parts = [self.dataset_use(item, where.child(i)) for i, item in enumerate(raw)]
                return [use for use in parts if use is not None]
            if inner is ClassifierUse:
                members = [self.classifier_use(item, where.child(i)) for i, item in enumerate(raw)]
                return [use for use in members if use is not None]
        if isinstance(raw, list | dict):
            places = enumerate(raw) if isinstance(raw, list) else raw.items()
            made = {
                key: self.prepare(
                    type_below(annotation, raw, key, self.plugins), value, where.child(key), phases
                )
                for key, value in places
            }
            return list(made.values()) if isinstance(raw, list) else made
        return raw

    def path(self, raw: str, annotation: Any, where: Where) -> str | Path:
        """The absolute path, or the text if it is not meant as a path. After a reported error, the text too."""
        try:
            path = (self.locations.base(where.path) / Path(raw).expanduser()).resolve()
            return path if names_a_path(annotation, raw, path.exists()) else raw
        except (OSError, RuntimeError, ValueError) as error:  # a NUL, `~nouser`, a name that is too long
            if names_a_path(annotation, raw, exists=False):
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                self.report(where, f"{shortened(raw)} cannot be a path: {reason}")
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
        """Validates `data` as `model`; errors are reported at their place in `raw`. `shape` is the model of the
        entry."""
        built: Model | None = None
        problems = [replace(found, path=place_in(raw, found.path)) for found in mistaken_scalars(model, data)]
        try:
            built = model.model_validate(dict(data))
        except ValidationError as error:
            known = {problem.path for problem in problems}
            problems += [problem for problem in readable_errors(error, raw) if problem.path not in known]
        for number, problem in enumerate(problems):
            # Errors beyond those that are shown need no hint, and hints for tens of thousands take minutes.
            hint = self.hint(problem, model, shape or model, shown or raw) if number < MAX_HINTS else ""
            self.report(where.child(*problem.path), problem.message, hint)
        return None if problems else built

    def hint(self, problem: InvalidValue, model: type[BaseModel], shape: type[BaseModel], raw: Any) -> str:
        if not problem.unknown_key:
            return problem.hint
        if problem.path[0] in unused_options(model):
            members = [
                k for k, f in model.model_fields.items() if element_type(f.annotation) is ClassifierUse
            ]
            instead = f"set it on each of its `{members[0]}`" if members else "leave it out"
            return f"{raw['name']} trains nothing, so {problem.path[0]} has no effect: {instead}"
        valid = keys_at(shape, raw, problem.path[:-1], self.plugins)
        return did_you_mean(str(problem.path[-1]), valid)

    def example(self, kind: str) -> str:
        return next(iter(self.plugins.names(kind)), "...")


def _source_labels(classes: Any) -> Any:
    """The labels that `classes` lists, for a data set that generates images of the labels that are asked for."""
    if not isinstance(classes, dict):
        return classes
    return [label for labels in classes.values() if isinstance(labels, list) for label in labels]


def as_written(use: ClassifierUse) -> dict[str, Any]:
    """A classifier with options that are not validated yet, as it would be written in a matrix."""
    start = {"from": use.taken_from, "init": use.init}
    return {"name": use.name, **(use.options or {})} | {
        key: value for key, value in start.items() if value is not None
    }


def _bare(use: Any) -> bool:
    return isinstance(use, TransformUse | ClassifierUse) and not isinstance(use.options, BaseModel)
