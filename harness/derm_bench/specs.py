"""What a plugin hands in: one typed spec a plugin, and the options that all plugins of a kind share.

Nothing here imports torch: the parent process reads specs to validate and plan. `create` is an import path
that only a worker (or, for data sets, the planner) follows.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_serializer, model_validator

from derm_bench.errors import UserError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from derm_bench.images import ImageSet, Samples
    from derm_bench.run import Run

KINDS = ("dataset", "generator", "classifier", "metric", "transform", "executor")


class Options(BaseModel):
    """Base of every options model: unknown keys are refused, values do not change after validation.

    A field of type `pathlib.Path` names a file or folder of the user: it is resolved beside the YAML file and
    enters a stage's identity by content, not by place.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


# --------------------------------------------------------------------------------- common options


class Budget(Options):
    """How long to train: exactly one of updates (optimizer steps), epochs, kimg (thousands of images)."""

    updates: int | None = Field(None, ge=1, le=100_000_000, description="optimizer steps")
    epochs: float | None = Field(None, gt=0, le=1_000_000, description="passes over the training images")
    kimg: float | None = Field(None, gt=0, le=1_000_000, description="thousands of images seen")

    @model_validator(mode="after")
    def _exactly_one(self) -> Budget:
        if sum(value is not None for value in (self.updates, self.epochs, self.kimg)) != 1:
            raise ValueError("give exactly one of updates, epochs, kimg")
        return self

    def in_updates(self, images: int, batch_size: int) -> int:
        """Optimizer steps over a set of `images` images; an epoch is ceil(images / batch_size) steps, at least 1."""
        if self.updates is not None:
            return self.updates
        if self.epochs is not None:
            return max(1, round(self.epochs * -(-images // batch_size)))
        assert self.kimg is not None
        return max(1, round(self.kimg * 1000 / batch_size))


class TransformUse(Options):
    """A transform as a matrix writes it: `hflip`, `{rotate: 30}` or `{bilateral: {d: 9}}`."""

    name: str = Field(description="the transform")
    options: Any = Field(None, description="its options, or a bare value for the one that it names")

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value, "options": {}}
        if isinstance(value, dict) and len(value) == 1 and "name" not in value:
            ((name, options),) = value.items()
            return {"name": name, "options": options}
        if isinstance(value, dict) and isinstance(value.get("name"), str) and "options" not in value:
            return {"name": value["name"], "options": {k: v for k, v in value.items() if k != "name"}}
        return value


class ClassifierUse(Options):
    """A classifier as a matrix writes it, inside of another plugin's options: `members: tuple[ClassifierUse, ...]`.

    Loading a matrix validates each like an entry under `classifiers`: a bare name, or a map of the plugin's options
    with `from` and `init`. It is handed on whole: `Ref("classifier", member.name, member)`.
    """

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(description="the plugin")
    label: str = Field("", exclude=True, description="what messages call it; default its name")
    options: Any = Field(None, description="the plugin's options, written beside its name")
    source: Any = Field(None, alias="from", description="a part of a fitted generator to start from")
    init: Any = Field(None, description="start from the same network trained on another data set")

    @model_validator(mode="before")
    @classmethod
    def _spellings(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value, "options": {}}
        if isinstance(value, dict) and "options" not in value:
            own = {key: value[key] for key in ("name", "label", "from", "source", "init") if key in value}
            return own | {"options": {key: option for key, option in value.items() if key not in own}}
        return value

    @field_serializer("options", "source", "init")
    def _without_paths(self, value: Any) -> Any:
        """Where files lie is no part of what is written: the stage that the use becomes knows them by content."""
        return _pathless(value)


def _pathless(value: Any) -> Any:
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {key: _pathless(inner) for key, inner in value.items() if not isinstance(inner, Path)}
    return [_pathless(inner) for inner in value] if isinstance(value, list | tuple) else value


class GeneratorOptions(Options):
    """Options that every generator takes; a plugin's own model may give one of them another default."""

    budget: Budget = Field(Budget(epochs=300), description="how long to fit; smaller of it and nothing else")
    size: int | None = Field(None, ge=8, le=1024, description="side in pixels; default the stored size")
    augment: tuple[TransformUse, ...] = Field(
        (), description="image transforms applied to the real images while fitting"
    )
    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        None,
        description="per_class, pooled, or groups of classes; default per_class for unconditional generators",
    )
    classes: tuple[str, ...] | None = Field(
        None, description="the classes to fit on; default all (per_class: those with a quota)"
    )
    fit_on: Literal["train", "all"] = Field(
        "train", description="all also shows it val and test: needs the permit generator_sees_test"
    )
    extra_data: Any = Field(None, description="unlabelled images to fit on as well")


class ClassifierOptions(Options):
    """Options that every classifier takes; a plugin's own model may give one of them another default."""

    optimizer: Literal["adam", "adamw", "sgd", "adagrad"] = Field(
        "adam", description="the optimizer; sgd with momentum, adamw with decoupled decay"
    )
    lr: float = Field(1e-3, gt=0, description="learning rate at the start")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty; decoupled for adamw")
    betas: tuple[float, float] = Field(
        (0.9, 0.999), description="of adam and adamw; the first is sgd's momentum"
    )
    batch_size: int = Field(64, ge=2, le=65536, description="images an update")
    schedule: Literal["none", "cosine", "step", "plateau"] = Field(
        "none", description="how the learning rate falls; step: to a tenth at one half and at three quarters"
    )
    select: Literal["best", "last"] = Field(
        "best", description="best: the checkpoint with the best primary metric on validation"
    )
    patience: int | None = Field(
        None, ge=1, description="evaluations without gain before stopping; refused with a matched budget"
    )
    loss: Literal["ce", "bce"] = Field(
        "ce", description="ce: cross-entropy over classes; bce: binary, each class by itself"
    )
    input_size: int | None = Field(
        None, ge=8, le=1024, description="side in pixels that the network sees; default the stored size"
    )
    pretrained: bool = Field(False, description="start from published weights")
    weights: Path | None = Field(None, description="a safetensors or weights-only file to start from")
    freeze: bool = Field(False, description="train only the head")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="share of features dropped before the head while training"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of each target spread evenly over the classes"
    )


# ------------------------------------------------------------------------------- what create gets


@dataclass(frozen=True)
class Task:
    """What a plugin's `create(options, task)` is told.

    `classes` are the class names, in the order of labels; `size` is the side in pixels of the images it gets; `device`
    a torch device string; `inputs` what its spec `requires`, by name: for a `Ref` of kind `generator` or `classifier`
    the plugin's object with its state loaded, on the device; for `samples` an `ImageSet` of synthetic images at the
    stored size, labelled by the classes of the data set (-1 where the generator tells none apart).
    `input_tasks` are the tasks that those objects were made with (their `classes` and `size`), `input_parts` the names
    of the parts that were asked of them, both by the input's name. Inputs are not to be changed: deep-copy a network
    that is trained on. `whole`, for data sets alone: images are to be read at their own size, since preprocessing sees
    them before they are brought to `size`; without it a decoder may make them smaller as it reads.
    """

    classes: tuple[str, ...]
    size: int
    device: str = "cpu"
    inputs: Mapping[str, Any] = field(default_factory=dict)
    input_tasks: Mapping[str, Task] = field(default_factory=dict)
    input_parts: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False

    def part(self, name: str) -> nn.Module:
        """The network that was asked of the input `name`: by `part` of its `Ref`, or `from: {..., part: NAME}`.
        UserError where the input has no such part."""
        wanted, parts = self.input_parts.get(name, ""), self.inputs[name].parts()
        if wanted not in parts:
            raise UserError(
                f"{type(self.inputs[name]).__name__} has no part '{wanted}' to start from",
                hint=did_you_mean(wanted, parts),
            )
        network: nn.Module = parts[wanted]
        return network


@dataclass(frozen=True)
class SampleRequest:
    """One chunk of samples: `n` images of class index `label` (None: any, over pooled classes) under `seed`.

    `start` images of the same sample came in chunks before; `total` of them are kept in all (None: start + n).
    """

    label: int | None
    n: int
    seed: int
    start: int = 0
    total: int | None = None


@dataclass(frozen=True)
class Provenance:
    """Where images come from that no stage here is trained for: `statement` goes on after "its images are". `split`:
    digest (or its first digits) of the split whose training part was trained on; `sees_test`: val or test were too."""

    statement: str
    split: str = ""
    sees_test: bool = False


# A stage's input `requires/<name>` is what another made of the `Ref` of that name.
NEEDED = "requires/"


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
    """

    kind: Literal["generator", "classifier", "samples"]
    plugin: str
    options: Mapping[str, Any] | ClassifierUse = field(default_factory=dict)
    scope: str | None = None
    data: Literal["train", "reserve"] | Ref = "train"
    part: str | None = None
    n: int | None = None


# ------------------------------------------------------------------------------------- data sets


@dataclass(frozen=True)
class DatasetDescription:
    """A data set without its pixels: all that splitting needs. Lists run parallel to `ids`.

    `labels` are names out of `classes`. `masks`: images come with one each. `licence` and `citation` are shown.
    `groups` holds the lesion or patient of each image (None: no grouping is known). `given_split` holds
    `train | val | test | ""` where the source fixes one. `attributes` holds typed columns (age, sex, site, ...).
    """

    ids: Sequence[str]
    labels: Sequence[str]
    classes: Sequence[str]
    groups: Sequence[str] | None = None
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    given_split: Sequence[str] | None = None
    masks: bool = False
    licence: str = ""
    citation: str = ""


@dataclass(frozen=True)
class RawImage:
    """A decoded image: `pixels` uint8 [H,W,3] sRGB; `mask` uint8 [H,W] (0 or 255) or None."""

    pixels: np.ndarray
    mask: np.ndarray | None = None


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be decoded, and its `reason`; it is listed and set aside, never silently dropped."""

    reason: str


class Dataset(Protocol):
    """What a data set's `create(options, task)` returns. Its module imports no torch: the planner calls it too."""

    def describe(self, options: Any) -> DatasetDescription: ...

    def fingerprint(self, options: Any) -> Mapping[str, str]:
        """Content digest of every image (with its mask), by id; times and places never enter."""
        ...

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        """Decodes the images in the order of `ids`, at their own size where the task says `whole`; may be called from
        several threads at once."""
        ...


# ----------------------------------------------------------------------- generators, classifiers


class Generator(Protocol):
    """What a generator's `create(options, task)` returns.

    One that makes images of noise and a class alone may also have `prior(n, generator)`, the noise of n images
    [n,...] drawn from a torch.Generator, and `render(z, label)`, their images in [-1,1], as `NoiseGenerator` has. The
    run directory then shows rows that lead from one sample to another: along a great circle, or along a line where
    noise lies in [-1,1] as uniform noise does, unless it says itself by `between(a, b, share)` what noise lies between
    `a` and `b`, `share` in [0,1].
    """

    def fit(self, train: ImageSet, run: Run) -> None: ...

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """uint8 images [n,3,size,size]; equal for equal requests."""
        ...

    def parts(self) -> dict[str, nn.Module]: ...

    def state(self) -> dict[str, torch.Tensor]: ...

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None: ...


class Classifier(Protocol):
    """What a classifier's `create(options, task)` returns. `mean` and `std` (three floats each, of pixels in
    [0,1], default 0.5) may be given as attributes: the harness normalises with them. So may `weights_from`, a
    {name: string} of where its first weights came from (file or source, sha256), which the manifest repeats."""

    def fit(self, train: ImageSet, val: ImageSet, run: Run) -> None: ...

    def predict_proba(self, images: torch.Tensor) -> torch.Tensor:
        """float32 [N,K] rows that sum to 1, from normalised float32 images [N,3,size,size] on the task's device."""
        ...

    def parts(self) -> dict[str, nn.Module]: ...

    def state(self) -> dict[str, torch.Tensor]: ...

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None: ...


# ----------------------------------------------------------------------------------------- specs


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


@dataclass(frozen=True, kw_only=True)
class GeneratorSpec(PluginSpec):
    """A generator of images. `conditional`: one fit covers all classes. `conditions_on`: what `sample` is given
    of the training set. `reads: reserve` draws from the reserve split instead of train.

    `trains=False`: `fit` trains nothing, it only reads or draws images. Such a generator takes neither `budget` nor
    `augment`, which a matrix may then not write; the harness reads them as one update and no transforms.

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
    provenance: str | None = None
    finite: str | None = None
    commands: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClassifierSpec(PluginSpec):
    """A classifier. `label_option` names the option whose value is the default label (`model` of timm).

    `trains=False`: `fit` trains nothing. Such a classifier takes, of the options that classifiers share, only those
    that its own model declares; the harness reads the others as their defaults.
    """

    label_option: str | None = None
    trains: bool = True


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
    """An executor of stages; `create(options, task)` is called as `create(settings)` in the parent."""


SPEC_TYPES: dict[str, type[PluginSpec]] = {
    "dataset": DatasetSpec,
    "generator": GeneratorSpec,
    "classifier": ClassifierSpec,
    "metric": MetricSpec,
    "transform": TransformSpec,
    "executor": ExecutorSpec,
}


def load_object(path: str) -> Any:
    """Follows an import path `package.module:attribute`."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def create(spec: PluginSpec, options: Any, task: Task) -> Any:
    """Makes the plugin's object by its lazy import path."""
    return load_object(spec.create)(options, task)


__all__ = [
    "KINDS",
    "SPEC_TYPES",
    "Budget",
    "Classifier",
    "ClassifierOptions",
    "ClassifierSpec",
    "ClassifierUse",
    "Dataset",
    "DatasetDescription",
    "DatasetSpec",
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
