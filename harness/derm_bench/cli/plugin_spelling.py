"""How a plugin, one of its presets or a network that it names is written in a matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from derm_bench.matrix.options import compose_options
from derm_bench.matrix.type_words import as_yaml
from derm_bench.plugins import Installed, Plugins
from derm_bench.specs import ClassifierSpec, TransformSpec


def spelled(installed: Installed, name: str, /, **options: str) -> str:
    """The lines of a matrix that use the plugin, which is written as `name` there. Options that must be given and are
    not in `options` stand as `...`."""
    spec, model = installed.spec, compose_options(installed.spec)
    required = {} if "preset" in options else _required(model)
    entry = _entry(name, {**required, **options})
    match installed.kind:
        case "dataset":
            return f"datasets:\n  - {entry}"
        case "generator":
            synthetic = "    synthetic: {balance: true}"
            return f"strategies:\n  - name: my-strategy\n    generator: {entry}\n{synthetic}"
        case "classifier":
            return f"classifiers:\n  - {entry}"
        case "metric":
            return f"metrics: [{_short(name, entry)}]"
        case "transform":
            return _transform(spec, name, _short(name, entry))
        case _:
            return f"executor: {entry}"


def _transform(spec: Any, name: str, entry: str) -> str:
    if isinstance(spec, TransformSpec) and spec.scalar is not None:
        field = compose_options(spec).model_fields[spec.scalar]
        value = "..." if field.is_required() else as_yaml(field.default)
        entry = f"{{{name}: {value}}}"
    if isinstance(spec, TransformSpec) and spec.phase == "preprocess":
        return f"datasets:\n  - name: ...\n    preprocess: [{entry}]"
    return f"strategies:\n  - name: my-strategy\n    augment: [{entry}]"


def meanings(found: Plugins, name: str) -> Iterator[tuple[str, Installed, str]]:
    """Yields (what `name` is, the plugin, the lines of a matrix) for each plugin that has a preset `name` or, as a
    classifier, builds a network of that name."""
    for installed in found.all():
        spec = installed.spec
        if isinstance(spec, ClassifierSpec) and spec.label_option and _builds(spec, name):
            what = f"a network of the classifier {spec.name}"
            yield what, installed, spelled(installed, found.written(installed), **{spec.label_option: name})
        if name in spec.presets:
            what = f"a preset of the {installed.kind} {spec.name}"
            yield what, installed, spelled(installed, found.written(installed), preset=name)


def _builds(spec: ClassifierSpec, name: str) -> bool:
    """Whether the classifier knows a network of that name. One that accepts any text cannot tell."""
    return _accepts(spec, name) and not _accepts(spec, "a network that nobody has")


def _accepts(spec: ClassifierSpec, name: str) -> bool:
    try:
        compose_options(spec).model_validate({spec.label_option: name})
    except ValidationError:
        return False
    return True


def _required(model: type[BaseModel]) -> dict[str, str]:
    return {field.alias or name: "..." for name, field in model.model_fields.items() if field.is_required()}


def _entry(name: str, options: dict[str, str]) -> str:
    pairs = [f"name: {name}", *(f"{key}: {value}" for key, value in options.items())]
    return f"{{{', '.join(pairs)}}}"


def _short(name: str, entry: str) -> str:
    """A bare name for an entry that needs nothing else."""
    return name if entry == f"{{name: {name}}}" else entry
