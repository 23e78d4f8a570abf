"""Specs: what a plugin hands in, one typed record per plugin. Also the one place to import the plugin contract from.

Nothing here imports torch: the parent process reads specs to validate and plan. `create` is an import path
that only a worker (or, for data sets, the planner) follows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from derm_bench.lazy import create, load_object
from derm_bench.options.base import Budget, Options
from derm_bench.options.classifier import ClassifierOptions
from derm_bench.options.generator import GeneratorOptions
from derm_bench.options.uses import ClassifierUse, TransformUse
from derm_bench.protocols import (
    Classifier,
    Dataset,
    DatasetDescription,
    Generator,
    RawImage,
    SampleRequest,
    Task,
    Unreadable,
)
from derm_bench.stage_names import NEEDED

KINDS = ("dataset", "generator", "classifier", "metric", "transform", "executor")


@dataclass(frozen=True)
class Provenance:
    """Where images come from that no stage here is trained for: `statement` goes on after "its images are". `split`:
    digest (or its first digits) of the split whose training part was trained on; `sees_test`: val or test were too."""

    statement: str
    split: str = ""
    sees_test: bool = False


@dataclass(frozen=True)
class Ref:
    """Something a plugin needs that another stage makes; the planner turns it into an ordinary shared stage, the same
    one that a strategy or a classifier of the matrix asks for where the work is equal.

    `plugin` is run with `options`, a map as a matrix writes it (`preset` and a classifier's `from` and `init` among
    them) or a whole `ClassifierUse`. What `Task.inputs` then holds depends on `kind`:

    - `generator`: the fitted generator. It is one fit: `scope` is `pooled` unless said. Its seed is the generator seed
      of whatever requires it.
    - `classifier`: the trained classifier. A classifier's own requirements are trained as it is itself, on the same
      images with the same augmentation, budget and seed; those of a generator on real training images alone.
    - `samples`: `n` synthetic images a class, by default as many as it has real training images; with the scope that
      the generator has by default.

    `part` names one network of a generator's or classifier's `parts()`, which `Task.part` gives. `data` is what the
    plugin is fitted on: the training split, the reserve, or what another `Ref` of kind `samples` makes.
    `needed: fit` is for what the plugin uses while it is fitted and not afterwards: where a fitted plugin is restored,
    to sample or to predict, `Task.inputs` does not have it.
    """

    kind: Literal["generator", "classifier", "samples"]
    plugin: str
    options: Mapping[str, Any] | ClassifierUse = field(default_factory=dict)
    scope: str | None = None
    data: Literal["train", "reserve"] | Ref = "train"
    part: str | None = None
    n: int | None = None
    needed: Literal["always", "fit"] = "always"


@dataclass(frozen=True, kw_only=True)
class PluginSpec:
    """What all kinds share. `name` is in kebab-case, `summary` a line, `paper` a reference; `create` is
    `"package.module:attribute"`, called `create(options, task)`; `options` a pydantic model, each field with a
    description; `requires(options)` returns the `Ref`s, by name, of what other stages must make first (generators and
    classifiers only). A classifier that requires a generator as `from` takes the matrix's `from` in its place.

    `presets` are named option sets; `tiny` (tests) and `smoke` are expected of generators and classifiers.
    `preflight`, an import path called with the options in the parent before anything runs, returns the problems
    it can already see (missing weights, say), a sentence each. `depends_on`, an import path called likewise, returns
    JSON of what the numbers depend on beside options and code (the digest of weights found by default, say).
    """

    name: str
    summary: str
    create: str
    paper: str = ""
    options: type[BaseModel] = Options
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    requires: Callable[[Any], Mapping[str, Ref]] | None = None
    preflight: str | None = None
    depends_on: str | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(PluginSpec):
    """A data set: `create` names a class with `describe`, `fingerprint` and `read`."""


@dataclass(frozen=True)
class Derived:
    """Named data that is made from the images of a data set, once for all plugins that want the same.

    `function` is an import path called `function(images, **options)` with uint8 images [n,3,S,S] of the stored size, on
    the device; it returns a tensor [n,...] of any dtype, the same shape for every image. `options` are JSON. A fit
    finds the result in `ImageSet.data`, and batches in `Batch.data`, under the name that `derives` gave it.
    """

    function: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GeneratorSpec(PluginSpec):
    """A generator of images. `conditional`: one fit covers all classes. `conditions_on`: what `sample` is given
    of the training set. `reads: reserve` draws from the reserve split instead of train.

    `trains=False`: `fit` trains nothing, it only reads or draws images. Such a generator takes neither `budget` nor
    `augment`, which a matrix may then not write; the harness reads them as one update and no transforms.
    `derives`: import path, called with the options: `{name: Derived}`, data that is made from the images for it.

    Import paths for what is not trained here: `provenance(options) -> Provenance`; `finite(options) -> {class: n}`, or
    one n for all: there are no more images, drawn without repetition in an order that the fit fixes (by
    `SampleRequest.start`, whatever its seed); `"reads"` for as many as the split gives it to read, `math.inf` where the
    order begins anew at its end; `commands(options, classes, size, seed)`: argv lists of the programs that
    `fit` runs, which needs `--allow-commands`; only such a fit writes files, temporary ones.
    """

    conditional: bool = False
    conditions_on: Literal["none", "images", "masks"] = "none"
    reads: Literal["train", "reserve"] = "train"
    trains: bool = True
    derives: str | None = None
    provenance: str | None = None
    finite: str | None = None
    commands: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClassifierSpec(PluginSpec):
    """A classifier. `label_option` names the option whose value is the default label (`model` of timm).

    `trains=False`: `fit` trains nothing. Such a classifier takes, of the options that classifiers share, only those
    that its own model declares; the harness reads the others as their defaults. `derives`: as of a generator.
    """

    label_option: str | None = None
    trains: bool = True
    derives: str | None = None


@dataclass(frozen=True, kw_only=True)
class MetricSpec(PluginSpec):
    """A metric. `level: predictions` computes from probabilities, `images` from features of `extractor`;
    `higher_is_better` says which way is up.

    `create(options, task)` returns an object with `compute(labels, proba, groups, classes)` or
    `compute(real, synthetic)` (float64 features [N,D] of its `extractor`), `-> {name: float}`.
    `extractor` is `domain` (the reference network of the split), or an import path called
    `extractor(options, device)` whose result maps uint8 images [N,3,H,W] to features and names itself in `.name`.
    """

    level: Literal["predictions", "images"]
    higher_is_better: bool
    extractor: str = ""


@dataclass(frozen=True, kw_only=True)
class TransformSpec(PluginSpec):
    """A transform. `scalar` names the option that a bare value sets (`{rotate: 30}` sets `degrees`).

    `create(options, task)` returns, by phase: `preprocess` a function of uint8 [H,W,3] arrays; `image` a function
    of (float images [N,3,H,W] in [0,1], torch.Generator), drawing parameters for each image by itself; `batch`
    one of (images, targets [N,K], torch.Generator) -> (images, targets); `regulariser` one of (model, batch) -> loss.
    A preprocess transform with an attribute `before_resize = True` is shown images at their own size, whatever their
    format, and may enlarge them; what stands before it in the list is then too. A regulariser with a method
    `normalised_with(mean, std)` is told by what batches are normalised. It may be recorded with the step
    (`Engine.fit`), and leaves the model as it is.
    """

    phase: Literal["preprocess", "image", "batch", "regulariser"]
    scalar: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExecutorSpec(PluginSpec):
    """An executor of stages. `create` is called as `create(options, settings)` in the parent, with an
    `ExecutorSettings`, and returns an `Executor` (`derm_bench.executors.base`).

    `machine`: import path, called as `machine(options, wanted)` with a `derm_bench.machine.Wanted`; it returns the
    `Machine` that stages will run on, which is part of their identity: whoever plans need not have such a device. By
    default it is the machine that plans.
    """

    machine: str = "derm_bench.machine:this_machine"


SPEC_TYPES: dict[str, type[PluginSpec]] = {
    "dataset": DatasetSpec,
    "generator": GeneratorSpec,
    "classifier": ClassifierSpec,
    "metric": MetricSpec,
    "transform": TransformSpec,
    "executor": ExecutorSpec,
}


__all__ = [
    "KINDS",
    "NEEDED",
    "SPEC_TYPES",
    "Budget",
    "Classifier",
    "ClassifierOptions",
    "ClassifierSpec",
    "ClassifierUse",
    "Dataset",
    "DatasetDescription",
    "DatasetSpec",
    "Derived",
    "ExecutorSpec",
    "Generator",
    "GeneratorOptions",
    "GeneratorSpec",
    "MetricSpec",
    "Options",
    "PluginSpec",
    "Provenance",
    "RawImage",
    "Ref",
    "SampleRequest",
    "Task",
    "TransformSpec",
    "TransformUse",
    "Unreadable",
    "create",
    "load_object",
]
