"""The parameters of each kind of stage, as typed records of plain data. As JSON they are part of a stage's identity.

A stage function reads them as attributes and imports the records for annotations only. The key of a stage therefore
depends on the values of the parameters and not on the source of this module.

The records are not to be changed. They are not frozen because a frozen record takes twice as long to make, and a large
plan makes ten thousands.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Json = Mapping[str, Any]


def as_dict(params: Any) -> dict[str, Any]:
    """The parameters of a stage by name. Values are not copied."""
    return {name: getattr(params, name) for name in names_of(params.__class__)}


@functools.cache
def names_of(record: Any) -> tuple[str, ...]:
    """The names of the parameters of a kind of stage, in alphabetical order."""
    return tuple(sorted(each.name for each in fields(record)))


@dataclass(kw_only=True, slots=True)
class Reading:
    """A stage that reads images of a data set and preprocesses them. `options` and `preprocess` contain the digests of
    files instead of paths."""

    dataset: str
    options: Json
    classes: Sequence[str]
    size: int
    resize: str
    preprocess: Sequence[Json]


@dataclass(kw_only=True, slots=True)
class Decode(Reading):
    """`images`: the digest of the lines `id, group, label, content digest`; `unreadable`: the largest allowed share of
    unreadable images; `aux_labels`: the digest of the labels of auxiliary tasks, None without such tasks."""

    images: str
    unreadable: float
    aux_labels: str | None = None


@dataclass(kw_only=True, slots=True)
class Preprocessing(Reading):
    """`shown`: (id, content digest) of a few training images of each class."""

    shown: Mapping[str, Sequence[Sequence[str]]]
    title: str
    licence: str


@dataclass(kw_only=True, slots=True)
class View:
    """Decoded images under a split: `split` is the digest of the split, `size` the stored side in pixels, `fraction`
    the share of train, `clean` the rules for images to drop, `select_on_test` whether test images are used as the
    validation images."""

    split: str
    classes: Sequence[str]
    size: int
    fraction: float
    clean: Json
    select_on_test: bool


@dataclass(kw_only=True, slots=True)
class Audit(View):
    """What is wrong with a data set under a split. `known_groups`: the digest of a JSON map from id to the group that
    the data set knows, None where the split has the same groups; `licence`: of the images."""

    known_groups: str | None
    licence: str


@dataclass(kw_only=True, slots=True)
class AuditOutside(View):
    """What the images of another data set share with a split. `use`: test or extra; `other`: the parameters of their
    view (`split`, `classes`, `size`, `clean`, `select_on_test`); `known_groups` as in `Audit`."""

    use: str
    other: Json
    known_groups: str | None


@dataclass(kw_only=True, slots=True)
class AuditGate:
    """Whether anything may be trained after an audit; `permits` are those of the matrix."""

    permits: Sequence[str]


@dataclass(kw_only=True, slots=True)
class Derive:
    """Named data derived from all images of a data set: `function(images, **options)` returns one row per image."""

    function: str
    options: Json
    size: int


@dataclass(kw_only=True, slots=True)
class Generating(View):
    """A generator that is fitted, or restored from a fit. `fit_classes`: the classes that it is fitted on; `reads`:
    train, reserve, all or samples; `requires`: the kind and part of each requirement of the plugin, by name."""

    generator: str
    options: Json
    fit_classes: Sequence[str]
    reads: str
    requires: Json = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Fit(Generating):
    """`updates`: the budget in updates; `snapshots`: the number of updates between two snapshots, None for none.
    `extra`: {}, or of images without labels the `split`, which has all of them in `train`, how to `clean` them, and
    whether those with the pixels of held-out images are refused (`seen`: refuse or keep)."""

    updates: int
    snapshots: int | None
    seed: int
    depends_on: Any = None
    extra: Json = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Health(Generating):
    """`updates`: the updates of the fit; `seed`: the seed of the few samples of each class that are measured."""

    updates: int
    seed: int


@dataclass(kw_only=True, slots=True)
class Sample(Generating):
    """`n` images of class `label` (or `all`) under `seed`, from the state at update `snapshot` (None: the end)."""

    label: str
    n: int
    snapshot: int | None
    seed: int


@dataclass(kw_only=True, slots=True)
class Filter:
    """`n` images of class `label` with the best grades: of every `window` samples the best `kept`. `grade`: confidence
    of a classifier, or discriminator of the generator whose state at update `snapshot` (None: the end) the samples are
    from; `requires` has one of the two, under `grader`."""

    classes: Sequence[str]
    size: int
    label: str
    n: int
    window: int
    kept: int
    grade: str
    snapshot: int | None
    requires: Json = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Interpolation(Generating):
    title: str
    labels: Sequence[str]
    seed: int


@dataclass(kw_only=True, slots=True)
class Reference(View):
    """The reference networks of the `_domain` metrics; `reference` is the version of the protocol."""

    reference: str


@dataclass(kw_only=True, slots=True)
class RealFeatures(View):
    """Features of the real images of class `of_class` (or `all`) that samples are compared with: those in `compared`,
    val or the fixed half of train."""

    of_class: str
    compared: str
    metrics: Sequence[Json]


@dataclass(kw_only=True, slots=True)
class Fidelity(View):
    """Image metrics of samples, or of the `control` (real-holdout or noise), against the real images of `of_class` in
    `compared`, as for RealFeatures."""

    of_class: str
    compared: str
    metrics: Sequence[Json]
    control: str | None


@dataclass(kw_only=True, slots=True)
class Memorization(View):
    """Whether samples of class `of_class` (or `all`), or images of the `control` (real-holdout or noise), are nearer to
    the images of the part `fitted_on`, train or reserve, than to those of the parts `held_out`. `title` and `licence`
    stand on the sheet of the most suspicious samples."""

    of_class: str
    fitted_on: str
    held_out: Sequence[str]
    metrics: Sequence[Json]
    control: str | None
    title: str
    licence: str


@dataclass(kw_only=True, slots=True)
class Choose:
    """The choice of a snapshot by `metric`: `steps` are the updates, None for the end of the fit."""

    metric: str
    higher_is_better: bool
    steps: Sequence[int | None]
    classes: Sequence[str]


@dataclass(kw_only=True, slots=True)
class TrainingFeatures(View):
    """Reference features of all training images."""


@dataclass(kw_only=True, slots=True)
class Train(View):
    """The training of a classifier. `updates`: the budget in updates; `augment`: transforms; `primary`: the metric that
    selects on validation, as `{name, higher_is_better, function or metric}`; `reads`: train or reserve; `auxiliary`:
    the auxiliary tasks that the classifier asks for, `{name: {classes, labels}}`, where `labels` is the digest of a
    JSON map from id to the index of a class."""

    classifier: str
    options: Json
    augment: Sequence[Json]
    balance: Literal["oversample", "class-weights"] | None
    replace_real: bool
    holdout: float
    val: str
    updates: int
    primary: Json
    seed: int
    reads: str = "train"
    auxiliary: Json = field(default_factory=dict)
    requires: Json = field(default_factory=dict)
    depends_on: Any = None


@dataclass(kw_only=True, slots=True)
class Evaluate(View):
    """Predictions of a trained classifier on validation and test, and their scores.

    `test` states the test images: {} for the test part of the split; `split`, `clean` and `shared` of an external data
    set, whose split has all its images in `test` (`shared`: refuse, drop or keep images with the pixels of an image of
    the split); or `holdout` and `real` of synthetic images, the share of each sample and whether the test part is
    added.
    """

    classifier: str
    options: Json
    metrics: Sequence[Json]
    requires: Json = field(default_factory=dict)
    test: Json = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Grids:
    title: str


@dataclass(kw_only=True, slots=True)
class Neighbours(View):
    title: str
    fit_classes: Sequence[str]
    licence: str


@dataclass(kw_only=True, slots=True)
class Tables:
    """Statistics and figures of a run: `rows` is the digest of the rows and the matrix of the plan. Statistics have the
    `primary` metric if it is one of a plugin: its `name`, `higher_is_better`, and `metric`."""

    rows: str
    primary: Mapping[str, Any] | None = None
