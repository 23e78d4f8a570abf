"""Writes the reference pages (hooks, matrix, plugins, command line) from the code, as Markdown. Needs no Sphinx.

python docs/generate.py           # writes docs/reference/matrix.md and api.md, and the heads of tables in README.md
python docs/generate.py FOLDER    # writes all pages into FOLDER
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import heads
from cli_page import cli_page
from markup import Lines, code, markdown, page_text, prose, row, sentence, write_if_changed
from pydantic import BaseModel

from derm_bench import api, hookspecs, protocols, run, specs
from derm_bench.matrix import model
from derm_bench.matrix.grammar import entry_fields
from derm_bench.matrix.load import DEFAULT_METRICS
from derm_bench.matrix.options import compose_options
from derm_bench.matrix.schema import json_schema
from derm_bench.matrix.type_words import as_yaml, in_words
from derm_bench.options import base, classifier, generator, uses
from derm_bench.plugins import Installed, Plugins
from derm_bench.specs import KINDS, ClassifierOptions, GeneratorOptions, Options

MATRIX_PAGE = Path(__file__).parent / "reference" / "matrix.md"
API_PAGE = MATRIX_PAGE.with_name("api.md")
"""The pages of the reference that are committed, so that they can be read without a build."""
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("derm_bench_")}
CONTRACT = (specs, protocols, base, generator, classifier, uses, run)
"""The modules of the plugin contract: what plugins import of all but `run` they import from `derm_bench.specs`."""
COMMON = {"generator": GeneratorOptions, "classifier": ClassifierOptions}
"""Options that every plugin of a kind takes: documented once."""
PLACES = {
    model.Protocol: "protocol",
    model.DatasetEntry: "datasets",
    model.PerClass: "datasets: limit",
    model.Clean: "datasets: clean",
    model.Split: "datasets: split",
    model.Seeds: "seeds",
    model.TestSet: "test_sets",
    specs.Budget: "budget",
    model.StrategyEntry: "strategies",
    model.GeneratorUse: "strategies: generator",
    model.Synthetic: "strategies: synthetic",
    model.Filter: "strategies: synthetic: filter",
    model.ClassifierEntry: "classifiers",
    model.TakenFrom: "classifiers: from",
    model.Init: "classifiers: init",
    model.Snapshots: "snapshots",
    model.Compare: "compare",
    model.Analysis: "analysis",
    model.Limits: "limits",
    model.Numerics: "numerics",
}
"""Where a matrix writes each of its models."""
ENTRY_NAMES = {
    "DatasetEntry": "a data set",
    "StrategyEntry": "a strategy",
    "GeneratorUse": "a generator",
    "ClassifierEntry": "a classifier",
    "TestSet": "a test set",
    "MetricUse": "a metric",
    "ExecutorUse": "an executor",
}
NAMES = {found.__name__: f"a map as under `{place}`" for found, place in PLACES.items()} | ENTRY_NAMES
"""What tables call the type of a key."""


def write(folder: Path) -> None:
    """Writes all generated pages into `folder`."""
    plugins = Plugins(builtins_only=True)
    pages = {
        "hooks": hooks_page(),
        "specs": specs_page(),
        "matrix": matrix_page(plugins),
        "api": api_page(),
        "plugins": plugins_page(plugins),
        "cli": cli_page(),
    }
    folder.mkdir(exist_ok=True)
    for name, lines in pages.items():
        write_if_changed(folder / f"{name}.md", page_text(lines))


# ------------------------------------------------------------------------------------------ hooks


def hooks_page() -> Lines:
    yield from ("# Hooks", "", markdown(inspect.getdoc(hookspecs) or ""), "")
    yield from ("The specs are described in [Specs and protocols](specs.md).", "")
    for name, hook in HOOKS.items():
        signature = str(inspect.signature(hook)).replace("'", "")
        yield from (f"## {name}", "", f"```python\n{name}{signature}\n```", "")
        yield from (markdown(inspect.getdoc(hook) or ""), "")


# ------------------------------------------------------------------------- specs and protocols


def specs_page() -> Lines:
    yield from (
        "# Specs and protocols",
        "",
        "What hooks return, and what the objects that `create` makes must do.",
    )
    for module in CONTRACT:
        for name, found in vars(module).items():
            own = inspect.isclass(found) and found.__module__ == module.__name__
            if own and (name in specs.__all__ or (module is run and not name.startswith("_"))):
                yield from class_section(name, found)


def class_section(name: str, found: type, level: str = "##") -> Lines:
    """A class with its docstring, its own fields and, of a protocol, its methods."""
    yield from ("", f"{level} {name}", "", markdown(inspect.getdoc(found) or ""), "")
    if issubclass(found, Options):
        yield from option_table(found)
    elif is_dataclass(found):
        inherited = {field.name for base in found.__bases__ if is_dataclass(base) for field in fields(base)}
        own = [field for field in fields(found) if field.name not in inherited]
        if own:
            yield from ("| field | type | default |", "|---|---|---|")
        for field in own:
            default = "required"
            if field.default is not MISSING:
                default = code(getattr(field.default, "__name__", repr(field.default)))
            elif field.default_factory is not MISSING:
                default = "empty"
            yield row(code(field.name), code(str(field.type)), default)
    else:
        for method, function in vars(found).items():
            if inspect.isfunction(function) and not method.startswith("_"):
                signature = str(inspect.signature(function)).replace("'", "")
                yield from (
                    f"```python\n{method}{signature}\n```",
                    "",
                    markdown(inspect.cleandoc(function.__doc__ or "")),
                    "",
                )


# ------------------------------------------------------------------------------------- public interface

API_PARTS = {
    "Declaring a plugin": """API_VERSION hookimpl DatasetSpec GeneratorSpec ClassifierSpec MetricSpec TransformSpec
        ExecutorSpec Ref Derived Provenance""",
    "Options": """Options GeneratorOptions ClassifierOptions Budget LearningRate Betas ClassifierUse DatasetUse
        TransformUse""",
    "What a plugin gets and returns": """Task ImageSet Samples SampleRequest Run Batch Precision Generator Classifier
        Dataset DatasetDescription Note RawImage Recognised Unreadable""",
    "Base classes": "ModulePlugin NoiseGenerator ModuleClassifier",
    "Training": """Engine minimise frozen Ema TrainingState stream fit_classifier predict_proba
        recalibrate_statistics""",
    "Losses": """discriminator_loss generator_loss hinge_discriminator_loss critic_loss negative_score points_between
        gradient_penalty r1_penalty soft_cross_entropy soft_bce gaussian_kl""",
    "Layers and initial weights": """SelfAttention MinibatchStd PixelNorm EqualConv2d EqualLinear ConditionalBatchNorm2d
        spectrally_normalised dcgan_init he_init""",
    "Images": """DiffAugment uniform warp resize_images normal to_bytes one_hot_of read_image read_mask UnreadableImage
        file_digests""",
    "Weights": "read_weights load_network origin_of",
    "Errors": "UserError Diverged NoValue Waiting did_you_mean",
    "Conformance tests": """GeneratorConformance ClassifierConformance DatasetConformance MetricConformance
        TransformConformance""",
}
"""The names of `derm_bench.api`, in the order in which the reference has them."""
API_VALUES = {
    "API_VERSION": "The version of this interface, which a plugin states as `DERM_BENCH_API`.",
    "hookimpl": "The marker of functions that implement a hook: `@hookimpl` above `def derm_bench_generators():`.",
    "LearningRate": "The type of a learning rate: a float above 0 and at most 10.",
    "Betas": "The type of the decay rates of Adam: two floats, at least 0 and below 1.",
    "Precision": "`fp32`, `tf32` or `bf16`: the precision of forward passes (`Run.precision`).",
}


def api_page() -> Lines:
    yield from ("# Public interface for plugins", "", markdown(inspect.getdoc(api) or ""), "")
    yield "This page is generated from the code by `python docs/generate.py`. The [plugin guide](../plugin-guide.md)"
    yield "shows how the names work together, and [`examples/`](../../examples/README.md) has programs to start from."
    for title, names in API_PARTS.items():
        yield from ("", f"## {title}")
        for name in names.split():
            value = getattr(api, name)
            if name in API_VALUES:
                yield from ("", f"### {name}", "", API_VALUES[name])
            elif inspect.isclass(value):
                yield from api_class(name, value)
            else:
                yield from ("", f"### {name}", "", f"```python\n{name}{signature_of(value)}\n```", "")
                yield markdown(inspect.getdoc(value) or "")


def api_class(name: str, found: type) -> Lines:
    """A class, with how it is created unless it is a table of fields, a protocol or an error. The tests of conformance
    classes are those of the rules in CONTRIBUTING."""
    if name.endswith("Conformance"):
        yield from ("", f"### {name}", "", markdown(inspect.getdoc(found) or ""))
        return
    lines = list(class_section(name, found, "###"))
    protocol = getattr(found, "_is_protocol", False)
    if not (is_dataclass(found) or issubclass(found, BaseModel | Exception) or protocol):
        lines[4:4] = ["", f"```python\n{name}{signature_of(found)}\n```", ""]
    yield from lines


def signature_of(value: Any) -> str:
    return str(inspect.signature(value)).replace("'", "")


# ----------------------------------------------------------------------------------------- matrix


def matrix_page(plugins: Plugins) -> Lines:
    """From the JSON Schema that `derm-bench schema` prints."""
    yield from ("# Matrix reference", "")
    yield "Every key of a matrix file, generated from the code by `python docs/generate.py`."
    yield "[The matrix](../matrix.md) explains how the keys work together. `derm-bench plugins show NAME` shows the"
    yield "options of a plugin, and `derm-bench schema` prints all this, with the options of plugins, for an editor."
    yield "An entry with a `name` may be written as a bare name: `dcgan` stands for `{name: dcgan}`. Entries of"
    yield "datasets, strategies and classifiers also take `sweep`, a map of option paths to lists or a list of points."
    yield from ("", "## Top level", "", "| key | type | default | meaning |", "|---|---|---|---|")
    properties = model.Matrix.model_json_schema()["properties"]
    for name in json_schema(plugins)["properties"]:
        kind, text = EXTRA.get(name, ("", ""))
        if name in properties:
            field = model.Matrix.model_fields[name]
            kind, text = SHORT.get(name, "") + type_of(properties[name]), field.description or ""
        default = DEFAULTS.get(name) or default_of(properties.get(name, {})) or "-"
        yield row(code(name), kind, default, prose(text))
    for found, place in PLACES.items():
        yield from ("", f"## {place}", "", ABOUT.get(place) or markdown(own_docstring(found)), "")
        short = {key.rpartition(".")[2]: kind for key, kind in SHORT.items() if key.startswith(f"{place}.")}
        yield from option_table(found, entry_fields(found), short)


def own_docstring(found: type) -> str:
    """A class's own docstring: pydantic and inspect would give a parent's."""
    return inspect.cleandoc(vars(found).get("__doc__") or "")


EXTRA = {
    "dataset": ("a data set", "short for `datasets` with one data set"),
    "presets": ("a map of maps", "named changes of the matrix, by key path; `--preset NAME` applies one"),
}
"""Type and meaning of keys that exist in YAML alone."""
SHORT = {
    "protocol": "one of `fair`, `paper`, or ",
    "seeds": "a list of whole numbers, or ",
    "datasets.classes": "a list of texts, or ",
    "datasets.limit": "a whole number, or ",
    "datasets.train_fraction": "a number, or ",
    "classifiers: init.dataset": "a label, or ",
}
"""Types of short forms, which the models do not have."""
ABOUT = {
    "datasets": "A data set by name, with the options of its plugin beside these keys.",
    "seeds": "A list, which generator and classifier share, or a map of lists, which are crossed.",
    "test_sets": "What cells are scored on.",
    "strategies": "How a training set is made.",
    "strategies: generator": "A generator by name, with the options of its plugin beside these keys.",
    "classifiers": "A classifier by name, with the options of its plugin beside these keys.",
}
"""What stands above a table, where the docstring of the model is for programmers."""
DEFAULTS = {
    "datasets": "required",
    "strategies": "required",
    "protocol": "`fair`",
    "seeds": "`[0]`",
    "metrics": f"`{as_yaml(DEFAULT_METRICS)}`",
    "name": "the name of the file",
}
"""Defaults of the top level that the models do not have, or not as they are written."""


def option_table(
    found: type[BaseModel], names: Collection[str] | None = None, short: Mapping[str, str] | None = None
) -> Lines:
    """The options of a model, or those whose names in YAML are among `names`. `short` has the types of short forms."""
    schema = found.model_json_schema()
    yield from ("| option | type | default | meaning |", "|---|---|---|---|")
    for name, field in ((field.alias or name, field) for name, field in found.model_fields.items()):
        if names is not None and name not in names:
            continue
        entry, text = schema["properties"][name], field.description or ""
        # A label is filled in by the loader, which its description mentions.
        needed = field.is_required() and "default" not in text
        default = "required" if needed else default_of(entry) or "-"
        yield row(code(name), (short or {}).get(name, "") + type_of(entry), default, prose(text))


def type_of(entry: Mapping[str, Any]) -> str:
    """A JSON Schema in words: `a whole number`, `one of adam, sgd`, `a list of texts`."""
    return in_words(entry, NAMES, code)


def default_of(entry: Mapping[str, Any]) -> str:
    """The default as YAML would have it; empty where there is none."""
    default = entry.get("default")
    if default is None:
        return ""
    shown = as_yaml(default)
    return "" if shown == "{}" else code(shown)


# ---------------------------------------------------------------------------------------- plugins


def plugins_page(plugins: Plugins) -> Lines:
    yield from ("# Built-in plugins", "")
    yield from ("`derm-bench plugins show NAME` prints the same, of what is installed on your machine.", "")
    for kind in KINDS:
        yield from (f"## {PLURAL[kind]}", "")
        if kind in COMMON:
            yield from (
                f"Every {kind} takes these options. If one has another default, its own table shows it.",
                "",
            )
            yield from (*option_table(COMMON[kind]), "")
        for installed in plugins.all():
            if installed.kind == kind:
                yield from plugin_section(installed)


PLURAL = {kind: f"{kind.capitalize()}s" for kind in KINDS} | {"dataset": "Data sets"}


def plugin_section(installed: Installed) -> Lines:
    spec = installed.spec
    yield from (f"### {spec.name}", "", prose(sentence(spec.summary)), "")
    if spec.paper:
        yield from (f"Paper: {prose(spec.paper)}", "")
    for preset, values in spec.presets.items():
        yield f"- preset `{preset}`: {code(as_yaml(dict(values)))}"
    composed = compose_options(spec)
    if own := own_options(installed, composed):
        yield from ("", *option_table(composed, own))
    yield ""


def own_options(installed: Installed, composed: type[BaseModel]) -> list[str]:
    """The options that the plugin adds, or gives another type or default than its kind has."""
    shared = COMMON.get(installed.kind, Options).model_fields
    return [
        name
        for name, field in composed.model_fields.items()
        if name not in shared
        or (field.default, field.annotation) != (shared[name].default, shared[name].annotation)
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write(Path(sys.argv[1]))
    else:
        write_if_changed(MATRIX_PAGE, page_text(matrix_page(Plugins(builtins_only=True))))
        write_if_changed(API_PAGE, page_text(api_page()))
        heads.write()
