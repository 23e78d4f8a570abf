"""Specs of plugins, one typed record per plugin. Plugins import the whole plugin contract from here.

Nothing here imports torch, because the parent process reads specs to validate and plan. `create` is an import path that
only a worker (or, for data sets, the planner) imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from derm_bench.lazy import create, load_object
from derm_bench.options.base import Betas, Budget, LearningRate, Options
from derm_bench.options.classifier import ClassifierOptions
from derm_bench.options.generator import GeneratorOptions
from derm_bench.options.paths import StatedFolder
from derm_bench.options.pretrained import TrainedOn
from derm_bench.options.uses import ClassifierUse, DatasetUse, TransformUse
from derm_bench.protocols import (
    Classifier,
    Dataset,
    DatasetDescription,
    Generator,
    Note,
    RawImage,
    Recognised,
    SampleRequest,
    Task,
    Unreadable,
)
from derm_bench.stage_names import NEEDED

KINDS = ("dataset", "generator", "classifier", "metric", "transform", "executor")


@dataclass(frozen=True)
class Provenance:
    """Where the images of a generator come from that is not trained by derm-bench. `statement` completes the sentence
    "its images are ...". `split` is the digest, or its first digits, of the split whose training part it was trained
    on; `sees_test` states that validation or test images were used too; `saw` are the ids of the images that it was
    trained on, where they are known, which are compared with the split."""

    statement: str
    split: str = ""
    sees_test: bool = False
    saw: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Ref:
    """A requirement of a plugin: the output of another stage. The planner makes it an ordinary shared stage. If a
    strategy or a classifier of the matrix needs the same stage, it runs only once.

    `plugin` is run with `options`: a map as in a matrix (it may have `preset` and, for a classifier, `from` and `init`)
    or a whole `ClassifierUse`. The value in `Task.inputs` depends on `kind`:

    - `generator`: the fitted generator. It is a single fit, so `scope` defaults to `pooled`. Its seed is the generator
      seed of the plugin that requires it.
    - `classifier`: the trained classifier. If a classifier requires it, it is trained under the same conditions: the
      same images, augmentation, budget and seed. If a generator requires it, it is trained on the real training images.
    - `samples`: `n` synthetic images per class, by default as many as the class has real training images. `scope`
      defaults to that of the generator.

    `part` names one network in `parts()` of the generator or classifier; `Task.part` returns it. `data` is what the
    plugin is fitted on: the training split, the reserve, or the samples of another `Ref` of kind `samples`.
    `needed="fit"` marks an input that is used only while the plugin is fitted. When a fitted plugin is restored, to
    sample or to predict, `Task.inputs` does not contain it.
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
    """The fields that all kinds of plugins share. `name` is in kebab-case, `summary` is one line, `paper` a reference.
    `create` is an import path `"package.module:attribute"`, called as `create(options, task)`. `options` is a pydantic
    model; each of its fields needs a description. `requires(options)` returns the `Ref`s that the plugin requires, by
    name (generators and classifiers only). A `from` in the matrix replaces the requirement of the name `from`.

    `presets` are named sets of options. Generators and classifiers should have `tiny` (for tests) and `smoke`.
    `preflight` is an import path that is called with the options in the parent before anything runs. It returns the
    problems that can be seen by then (missing weights, for example), one sentence each. If a generator has no
    `size`, or a classifier no `input_size`, the check gets the stored size of the data there, once for each size.
    `depends_on` names what else the numbers depend on, which the harness cannot see in options, imports and the files
    of the plugin's packages. It is one name or several:

    - `"package.module:function"` is called with the options, too, and returns JSON, such as the digest of weights that
      are found by default;
    - `"package.module"` is a module that is imported under a computed name, with all that it imports;
    - `"distribution"` counts with its version, and with the content of its files if it is in development;
    - `"package/data/names.json"` is a file or folder in the folder of a package, and `"my_gan/names.json"` one beside
      a plugin of one file, my_gan.py.
    `cost` is an import path, called as `cost(options, side)` with the options as a map and the side of the images in
    pixels (generators and classifiers only). It returns the multiply-adds of one image in a forward pass, or None if
    they are unknown, so that a forecast can tell networks apart. Without it, cost grows with the number of pixels.
    """

    name: str
    summary: str
    create: str
    paper: str = ""
    options: type[BaseModel] = Options
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    requires: Callable[[Any], Mapping[str, Ref]] | None = None
    preflight: str | None = None
    depends_on: str | tuple[str, ...] | None = None
    cost: str | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(PluginSpec):
    """A data set. `create` names a class that implements `Dataset`.

    `recognise` is the import path of a function that takes the path of a folder, or of a file that is no matrix, and
    returns a `Recognised` if the data set can probably read it, else None. `derm-bench data inspect` asks all installed
    data sets. The function looks at names and the first lines of tables only, and its module imports no torch.

    `parts(options)` returns the data sets that this one is made of, with different labels. The object gets theirs as
    `task.inputs`, by label. If the options have a field `dedup` that contains `pixels`, copies are dropped after
    decoding, as with `clean: {duplicates: drop}`.
    """

    recognise: str | None = None
    parts: Callable[[Any], Sequence[DatasetUse]] | None = None


@dataclass(frozen=True)
class Derived:
    """Named data that is derived from the images of a data set, once for all plugins that need the same.

    `function` is an import path, called as `function(images, **options)` with uint8 images [n,3,S,S] of the stored size
    on the device. It returns a tensor [n,...] of any dtype, with the same shape for every image. `options` are JSON. A
    fit finds the result in `ImageSet.data` and in `Batch.data`, under its name in `derives`.
    """

    function: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class GeneratorSpec(PluginSpec):
    """A generator of images. `conditional` states that one fit covers all classes. `conditions_on` is the part of the
    training set that `sample` gets. `reads="reserve"` reads images of the reserve instead of train.

    `trains=False` states that `fit` trains nothing and only reads or draws images. Such a generator has no options
    `budget`, `augment` and `balance`; the harness uses one update and no transforms. `derives` is an import path that
    is called with the options and returns `{name: Derived}`, the data to derive from the images for this generator.

    `parts` are the names of the networks in `parts()`, if the spec lists them; then a matrix that asks for another one
    is refused while planning.

    `batch_option` names the option with the number of images per update. The harness converts budgets in epochs and
    kimg into updates with it, and it is the default batch size of `run.batches`. A generator without such an option
    gets 64 images per update.

    `discriminator_outputs` are the two names under which `fit` logs the mean probability of being real, in [0,1], that
    its discriminator gives to real and to generated images, such as `("d_real", "d_fake")`. The harness then ends a fit
    whose discriminator is dead or overpowers the generator, and keeps both means at the end as `d_real` and `d_fake`.
    The report draws both curves in a figure. Without it no logged name has a meaning to the harness.

    `unlabelled` states whether `fit` may get images without a class, labelled -1 (their rows of `Batch.targets` are
    zero), for the option `extra_data`. By default an unconditional generator may that trains and samples from noise.

    `screen` states that a matrix with this generator computes `nn_ratio` and `authenticity`, for all its generators,
    unless it lists metrics: a network that easily learns its training images by heart should have it.

    `realness` states that the object has a method `realness(images, label)`, so that `synthetic.filter` can keep the
    images that its discriminator takes for real (see `Generator`).

    `bf16` states that fits under bfloat16 autocast were compared with fits in float32 over several seeds, and that
    their samples are as good. `numerics.precision: auto` uses bfloat16 for such generators only, where it is faster;
    any other generator is fitted in float32, on a CUDA device with TF32 products, as scripts in torch are by default.

    Three more import paths are for generators of images that are made elsewhere:

    - `provenance(options) -> Provenance` states where the images come from. A generator without it that has an option
      `weights`, `checkpoint` or `pretrained` of type Path also takes `trained_on` and `split` (`TrainedOn`), and a
      matrix that sets the path has to state them.
    - `finite(options)` returns how many images there are: `{class: n}`, or one n for all classes. They are drawn
      without repetition, from `SampleRequest.start` on, in an order that the fit determines and the seed does not.
      `"reads"` means as many as the split has for the generator to read; `math.inf` that the order starts again.
    - `commands(options, classes, size, seed)` returns the argv lists of the programs that `fit` runs. Such a fit needs
      `--allow-commands`, and only such a fit may write (temporary) files.
    """

    conditional: bool = False
    conditions_on: Literal["none", "images", "masks"] = "none"
    reads: Literal["train", "reserve"] = "train"
    trains: bool = True
    parts: tuple[str, ...] | None = None
    batch_option: str = "batch_size"
    discriminator_outputs: tuple[str, str] | None = None
    realness: bool = False
    screen: bool = False
    bf16: bool = False
    unlabelled: bool | None = None
    derives: str | None = None
    provenance: str | None = None
    finite: str | None = None
    commands: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClassifierSpec(PluginSpec):
    """A classifier. `label_option` names the option whose value is the default label (`model` of timm).

    `trains=False` states that `fit` trains nothing. Of the options that all classifiers share, such a classifier takes
    only those that its own model declares; the harness uses the defaults of the others. `derives` is as for a
    generator.

    `auxiliary(options, classes)` names the auxiliary tasks that a fit learns beside the classes: tasks of the data set
    (`DatasetDescription.aux_labels`), or attributes whose values are used as labels. Their soft targets are then in
    `Batch.aux`, by name. It may raise UserError if the options do not fit the classes.
    """

    label_option: str | None = None
    trains: bool = True
    derives: str | None = None
    auxiliary: Callable[[Any, Sequence[str]], Sequence[str]] | None = None


@dataclass(frozen=True, kw_only=True)
class MetricSpec(PluginSpec):
    """A metric. With `level="predictions"` it is computed from probabilities, with `level="images"` from features of
    `extractor`. `higher_is_better` states which direction is better; None if the best value lies in between.

    `create(options, task)` returns an object with `compute(labels, proba, groups, classes) -> {name: float}` or
    `compute(real, synthetic) -> {name: float}`; real and synthetic are features float64 [N,D]. A metric of images may
    also have `intervals(real, synthetic) -> {name: (value, low, high)}`. Where there is no value, for too few images
    for example, both raise `NoValue` with the reason.

    `extractor` is `domain` (the reference network of the split) or an import path that is called as
    `extractor(options, device)`. Its result maps uint8 images [N,3,H,W] to features and has a `name`, which contains
    the digest of its weights. A metric with a choice of extractors has an option `extractor` and maps its values to
    such paths in `extractors`. Metrics with the same extractor share its features if they agree in the options that
    `feature_options` names, apart from those that are None. Without `feature_options`, all options must agree.

    `variant` names an attribute of the options, a text that tells the features from the usual ones: the metric is then
    called `<name>_<text>` in tables, unless the matrix gives it a `label`. An empty text changes nothing.

    With `screen`, a metric of images compares samples with the training images of their generator and with held-out
    real images. Its object has `compute(samples, train, held_out, groups) -> {name: float}`; the first three are
    features, and `groups` are the lesions or patients of the held-out images.
    """

    level: Literal["predictions", "images"]
    higher_is_better: bool | None
    extractor: str = ""
    screen: bool = False
    extractors: Mapping[str, str] = field(default_factory=dict)
    feature_options: tuple[str, ...] | None = None
    variant: str | None = None

    def extractor_of(self, options: Any) -> str:
        """Return the extractor under these options: `domain`, an import path, or an empty text if there is none."""
        return self.extractors[options.extractor] if self.extractors else self.extractor

    def label_of(self, options: Any) -> str:
        """Return what the metric is called in tables, under these options."""
        text = getattr(options, self.variant) if self.variant else ""
        return f"{self.name}_{text}" if text else self.name


@dataclass(frozen=True, kw_only=True)
class TransformSpec(PluginSpec):
    """A transform. `scalar` is the option that a bare value sets (`{rotate: 30}` sets `degrees`).

    `create(options, task)` returns a callable, whose arguments and result depend on `phase`:

    - `preprocess`: uint8 array [H,W,3] -> uint8 array of the same shape. A transform with the attribute
      `before_resize = True` gets images at their own size and may enlarge them; so do the transforms listed before it.
      If the order is to be a choice, give the options a field `before_resize: bool` and set the attribute from it; a
      field that may be None is filled in from its neighbours in the list.
    - `image`: (float images [N,3,H,W] in [0,1], torch.Generator) -> images. Draws parameters for each image separately.
    - `batch`: (images, targets [N,K], torch.Generator) -> (images, targets).
    - `regulariser`: (model, batch) -> loss. It does not change the model, and it may be captured in a CUDA graph with
      the step (`Engine.fit`). If it has a method `normalised_with(mean, std)`, that is called with the values by which
      batches are normalised.
    """

    phase: Literal["preprocess", "image", "batch", "regulariser"]
    scalar: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExecutorSpec(PluginSpec):
    """An executor of stages. `create` is called as `create(options, settings)` in the parent, with an
    `ExecutorSettings`, and returns an `Executor` (`derm_bench.executors.base`).

    `machine` is an import path that is called as `machine(options, wanted)` with a `derm_bench.machine.Wanted`. It
    returns the `Machine` that stages will run on, which is part of their keys, so that a machine without such a device
    can plan. The default is the machine that plans.
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
    "Betas",
    "Budget",
    "Classifier",
    "ClassifierOptions",
    "ClassifierSpec",
    "ClassifierUse",
    "Dataset",
    "DatasetDescription",
    "DatasetSpec",
    "DatasetUse",
    "Derived",
    "ExecutorSpec",
    "Generator",
    "GeneratorOptions",
    "GeneratorSpec",
    "LearningRate",
    "MetricSpec",
    "Note",
    "Options",
    "PluginSpec",
    "Provenance",
    "RawImage",
    "Recognised",
    "Ref",
    "SampleRequest",
    "StatedFolder",
    "Task",
    "TrainedOn",
    "TransformSpec",
    "TransformUse",
    "Unreadable",
    "create",
    "load_object",
]
