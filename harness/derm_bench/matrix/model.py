"""The matrix as pydantic models, one class per YAML map, after presets, `--set` and sweeps have been applied.

Plugin entries are flat in YAML (`{name: dcgan, base: 64, budget: {...}}`). Here the options of the plugin are in
`options`, an instance of the plugin's options model, which `matrix.load` has validated.

This file is long because its models are one grammar, and many of its lines describe keys to users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, model_validator
from pydantic_core import PydanticKnownError

from derm_bench.errors import UserError
from derm_bench.matrix.preprocess_order import with_order
from derm_bench.specs import Budget, ClassifierUse, Options, TransformUse

PERMITS = (
    "generator_sees_test",
    "synthetic_in_test",
    "ungrouped_split",
    "select_on_test",
    "select_on_synthetic",
    "duplicates_across_splits",
    "unmatched_budget",
    "missing_class",
)

MAX_SEEDS = 1000
MAX_THREADS = 256

Seed = Annotated[int, Field(ge=0, lt=2**31)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


def _no_number(value: object) -> object:
    """Refuses a number: literals are compared by value, and 1 is equal to true."""
    if isinstance(value, bool):
        return value
    raise PydanticKnownError("literal_error", {"expected": "True"})


True_ = Annotated[Literal[True], BeforeValidator(_no_number)]
Share = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]


class Protocol(Options):
    """`fair`, or `paper` with permits. A permit only allows a leak; the leak itself is written where it happens."""

    name: Literal["fair", "paper"] = Field(
        "fair", description="fair: all rules; paper: all but what `allow` lists"
    )
    allow: tuple[str, ...] = Field((), description=f"permits: {', '.join(PERMITS)}")


class PluginUse(Options):
    """A plugin by name, with its validated options (typed `Any`, because the model is the plugin's)."""

    name: str = Field(description="the plugin")
    options: Any = Field(None, description="options of the plugin, written beside its name")


class MetricUse(PluginUse):
    """A metric by name, with its validated options."""

    label: str = Field(
        "",
        description="of a metric of images: its name in tables; default the metric's name, followed by that of its "
        "extractor if it is not the usual one",
    )


class ExecutorUse(PluginUse):
    """An executor by name, with its validated options."""


class PerClass(Options):
    """A count for every class, or one count per class."""

    per_class: Count | dict[str, Count] | None = Field(
        None, description="a count for every class, or a map of counts; groups are taken whole"
    )


class Clean(Options):
    """Which images to drop once their pixels are known."""

    duplicates: Literal["keep", "drop"] = Field(
        "keep",
        description="drop: of images with equal pixels, keep one: that in test, else that in val, else the first",
    )
    blurred: float | None = Field(
        None,
        ge=0,
        le=10_000,
        description="drop images whose variance of the Laplacian is below this; sharp photographs have hundreds",
    )
    unreadable: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="largest share of images that may be unreadable; with more of them decoding fails",
    )


class Split(Options):
    """How images are divided into test, val, reserve and train: by group, stratified by class, frozen by `seed`."""

    method: Literal["random", "given", "kfold"] = Field(
        "random",
        description="random; given: the split that the data set defines; kfold: each fold is the test set "
        "once, or only those that `seeds.split` lists",
    )
    test: Share | PerClass = Field(0.2, description="share of the whole, or {per_class: n}")
    val: Share | PerClass | Literal["test"] = Field(
        0.1,
        description="as for `test`; the word `test` validates on the test set and needs the permit select_on_test",
    )
    reserve: Share | PerClass = Field(0.0, description="real images for `more-real` alone; as for `test`")
    group: Literal["auto", "none"] | str = Field(
        "auto",
        description="images that stay together: auto (lesion or patient), an attribute, none (permit: ungrouped_split)",
    )
    seed: Seed = Field(0, description="seed of the split, frozen unless `seeds.split` lists some")
    folds: int = Field(5, ge=2, le=100, description="number of folds of `kfold`")


class DatasetEntry(PluginUse):
    label: str = Field(description="its name in tables and selections; default the plugin's name")
    size: int = Field(64, ge=8, le=1024, description="stored side in pixels")
    resize: Literal["center-crop", "squash", "pad"] = Field(
        "center-crop", description="how images are made square"
    )
    classes: dict[str, tuple[str, ...]] | None = Field(
        None,
        description="labels of the data set that are merged into each class; default every label is a class",
    )
    limit: PerClass = Field(PerClass(), description="largest number of images per class")
    preprocess: Annotated[tuple[TransformUse, ...], AfterValidator(with_order)] = Field(
        (),
        description="preprocess transforms, applied in order before images are stored. An image is resized after the "
        "last of them that runs before the resize (hair-removal, restore, and bilateral and gamma if they are set to)",
    )
    clean: Clean = Field(Clean(), description="which images to drop once their pixels are known")
    split: Split = Field(Split(), description="how images are divided into test, val, reserve and train")
    train_fraction: tuple[Fraction, ...] = Field(
        (1.0,),
        min_length=1,
        max_length=100,
        description="nested shares of the training set, an axis of the matrix; val and test are the same for all",
    )


SeedList = Annotated[tuple[Seed, ...], Field(min_length=1, max_length=MAX_SEEDS)]


class Seeds(Options):
    """`together` for a list in YAML; else the axes of the map, None for an axis that the map does not have."""

    together: SeedList | None = Field((0,), description="seeds that generator and classifier share")
    split: SeedList | None = Field(
        None, description="seeds of the split; with kfold, folds; default all folds"
    )
    generator: SeedList | None = Field(None, description="seeds of generators")
    classifier: SeedList | None = Field(None, description="seeds of classifiers")


class GeneratorUse(PluginUse):
    """A generator by name; `options` has the fields of GeneratorOptions and those of the plugin."""

    label: str = Field("", description="its name in tables; default the plugin's name")
    extra_data: DatasetEntry | None = Field(
        None,
        description="a data set whose images are fitted on as well, without their labels: the label of a data set of "
        "the matrix, or an entry as under `datasets`; size, resize and preprocess default to those of the cell's data "
        "set",
    )


class Filter(Options):
    by: Literal["confidence", "discriminator"] = Field(
        description="what grades the synthetic images: the probability that a classifier, trained on the real training "
        "images, gives to their class; or the discriminator of the generator"
    )
    keep: float = Field(
        0.5,
        ge=0.01,
        le=1,
        description="share of the samples that are kept, those with the best grades; the quota is met after filtering",
    )
    classifier: ClassifierUse | None = Field(
        None, description="the classifier of `confidence`; default dermagan-cnn"
    )

    @model_validator(mode="after")
    def _classifier_of_confidence(self) -> Filter:
        if self.by == "discriminator" and self.classifier is not None:
            raise ValueError(
                "a classifier grades by confidence: leave `classifier` out, or write by: confidence"
            )
        return self


class Synthetic(Options):
    """How many synthetic images each class gets: exactly one of balance, ratio, per_class, total."""

    balance: True_ | Positive | None = Field(
        None,
        description="true: fill each class to the size of the largest; a number: fill it to that many images",
    )
    ratio: float | None = Field(
        None, gt=0, le=1000, description="multiple of the real training images of the class"
    )
    per_class: Positive | dict[str, Count] | None = Field(
        None, description="images per class, or a map of counts"
    )
    total: int | None = Field(None, ge=1, description="images in total, spread evenly over the classes")
    replace_real: bool = Field(False, description="train on synthetic images alone")
    holdout: float = Field(
        0.0, ge=0, lt=1, description="share of the samples that are kept out of training: the last ones"
    )
    val: Literal["real", "held_out"] = Field(
        "real", description="held_out: validate on the held-out samples; needs the permit select_on_synthetic"
    )
    filter: Filter | None = Field(None, description="keep only the samples with the best grades")
    snapshot: Literal["last", "best_fd"] | Positive = Field(
        "last",
        description="the state of the generator to sample from: last, that of a step, or best_fd, the snapshot (or the "
        "end of the fit) with the lowest mmd_domain to real images that are not in test",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Synthetic:
        given = [
            value for value in (self.balance, self.ratio, self.per_class, self.total) if value is not None
        ]
        if len(given) != 1:
            raise ValueError("give exactly one of balance, ratio, per_class, total")
        if self.val == "held_out" and not self.holdout:
            raise ValueError("val: held_out needs a holdout above 0")
        return self


class StrategyEntry(Options):
    name: str = Field(description="its label in tables and selections")
    augment: tuple[TransformUse, ...] = Field(
        (), description="transforms applied on the fly, including mixing"
    )
    balance: Literal["oversample", "class-weights"] | None = Field(
        None,
        description="oversample: draw all classes equally often; class-weights: weight the loss by class; "
        "mixed and smoothed labels are weighted target by target",
    )
    generator: GeneratorUse | None = Field(None, description="the generator to fit")
    synthetic: Synthetic | None = Field(
        None,
        description="how many synthetic images to add; without it the generator is only fitted and scored",
    )
    seed_offset: Seed = Field(0, description="added to every generator and classifier seed")

    @property
    def makes_cells(self) -> bool:
        """Whether the strategy trains classifiers. A generator without a quota is only fitted, sampled and scored."""
        return self.generator is None or self.synthetic is not None


class TakenFrom(Options):
    """A part of a fitted generator: one that is fitted for the classifier, or that of a strategy."""

    generator: GeneratorUse | None = Field(
        None, description="a generator, as in a strategy; its scope is pooled unless it sets `scope`"
    )
    strategy: str | None = Field(
        None, description="a strategy whose generator to take, instead of `generator`"
    )
    part: str = Field(description="the network to take, as the generator names it; for example discriminator")

    @model_validator(mode="after")
    def _exactly_one(self) -> TakenFrom:
        if (self.generator is None) == (self.strategy is None):
            raise ValueError("give exactly one of generator, strategy")
        return self


class Init(Options):
    """Starts the classifier from a training of the same network on real images of another data set. Layers whose shape
    depends on the classes start afresh when the classes differ."""

    dataset: DatasetEntry = Field(
        description="the label of a data set of the matrix, or an entry as under `datasets`; size, resize and "
        "preprocess default to those of the cell's data set"
    )
    budget: Budget | None = Field(
        None, description="how long to train there; default the budget of the matrix"
    )


class ClassifierEntry(PluginUse):
    """A classifier by name; `options` has the fields of ClassifierOptions and those of the plugin."""

    label: str = Field(
        description="its name in tables and selections; default the plugin's name (for timm and torchvision, the model)"
    )
    taken_from: TakenFrom | None = Field(
        None,
        alias="from",
        description="a part of a fitted generator to start from: {generator: ..., part: ...}",
    )
    init: Init | None = Field(
        None,
        description="start from the same network trained on another data set: {dataset: ..., budget: ...}",
    )


class TestSet(Options):
    __test__ = False  # pytest must not collect it

    name: str = Field(description="its name in tables; `test` is the test part of the split")
    dataset: DatasetEntry | None = Field(
        None,
        description="an external data set, all of which is used; it takes size, resize and preprocess from the data "
        "set that a cell is trained on",
    )
    label_map: Path | None = Field(
        None,
        description="YAML file that maps each label of the external data set to a class, or to null to leave its "
        "images out; default: its labels are the classes",
    )
    synthetic: Literal["only", "added"] | None = Field(
        None,
        description="only: score on the samples that `synthetic.holdout` keeps out of training; added: on them and on "
        "the real test set; both need the permit synthetic_in_test",
    )
    strategy: str | None = Field(
        None,
        description="with synthetic: only, a strategy whose samples are the test set of every strategy without a "
        "generator, for the score `reverse_cas`; the strategies are not compared on it, and it needs no permit",
    )


class Compare(Options):
    baselines: tuple[str, ...] = Field(
        (), description="strategies (or classifiers) to compare with; default real-only, if the matrix has it"
    )
    across: Literal["strategy", "classifier"] = Field(
        "strategy", description="compare strategies or classifiers within a data set"
    )
    pairs: tuple[tuple[dict[str, str], dict[str, str]], ...] = Field(
        (),
        max_length=1000,
        description="pairs of {strategy, classifier, dataset}; the second of a pair is the baseline",
    )
    questions: tuple[int, ...] = Field(
        (),
        max_length=12,
        description="numbers of the questions that `answer` answers, 1 to 12; default all whose arms the matrix has",
    )


class Analysis(Options):
    primary: str = Field("balanced_accuracy", description="the metric of selection and verdicts")
    margin: float = Field(0.02, gt=0, le=0.5, description="differences smaller than this count as equivalent")
    alpha: float = Field(
        0.05, ge=1e-6, le=0.5, description="level of the tests; intervals have the coverage 1 - alpha"
    )
    sweeps: Literal["all", "best_on_val"] = Field(
        "all",
        description="all: every point is an arm; best_on_val (not supported by this version): only "
        "the best point on validation is",
    )


class Limits(Options):
    timeout: float | None = Field(None, gt=0, description="seconds per stage")
    memory: int | None = Field(None, gt=0, description="resident memory per stage in MB")
    max_failures: int | None = Field(None, ge=1, description="start no more stages after this many failures")


class Numerics(Options):
    precision: Literal["auto", "fp32", "tf32", "bf16"] = Field(
        "auto",
        description="auto: the fastest on this machine, which the first `run` or `doctor --probe` measures and saves, "
        "bf16 only for generators that were compared in it; tf32 needs a CUDA device",
    )
    threads: int = Field(2, ge=1, le=MAX_THREADS, description="threads per worker")


class Snapshots(Options):
    every: int | None = Field(
        None,
        ge=1,
        description="updates between snapshots of a generator, each of which is scored; default only the last state",
    )


class Matrix(Options):
    """A whole, resolved matrix: sweeps are expanded, labels are unique, every name is known."""

    # (message, key path, hint) -> the error with its line; set by the loader.
    _locate_error: Callable[[str, tuple[str | int, ...], str], UserError] | None = PrivateAttr(None)

    name: str = Field(description="the name of the matrix and of its run directory")
    file: Path = Field(description="the file that the matrix was read from")
    protocol: Protocol = Field(Protocol(), description="the fairness rules: fair, or paper with permits")
    datasets: tuple[DatasetEntry, ...] = Field(description="the data sets; `dataset:` is short for one")
    seeds: Seeds = Field(Seeds(), description="a list, or a map of split, generator and classifier seeds")
    test_sets: tuple[TestSet, ...] = Field(
        (TestSet(name="test"),), description="the test sets that cells are scored on"
    )
    budget: Budget = Field(
        Budget(updates=2000),
        description="training budget of every classifier; {epochs: n} needs the permit unmatched_budget",
    )
    strategies: tuple[StrategyEntry, ...] = Field(description="how training sets are made")
    classifiers: tuple[ClassifierEntry, ...] = Field((), description="the classifiers to train")
    metrics: tuple[MetricUse, ...] = Field(
        description="metrics beside the classification metrics, which are always computed; default the _domain family"
    )
    snapshots: Snapshots = Field(Snapshots(), description="which states of generators to keep and score")
    compare: Compare = Field(Compare(), description="which arms are compared")
    analysis: Analysis = Field(Analysis(), description="how differences are tested")
    limits: Limits = Field(Limits(), description="limits of stages and of the run")
    numerics: Numerics = Field(Numerics(), description="precision and threads")
    executor: ExecutorUse = Field(
        ExecutorUse(name="local"), description="the executor that runs the stages, with its options"
    )
    exclude: tuple[dict[str, Any], ...] = Field(
        (), description="entries that remove cells: those that match all keys of an entry"
    )
    include: tuple[dict[str, Any], ...] = Field((), description="cells to add; a missing key means all")
    product: bool = Field(True, description="false: run only the cells of `include`")

    def error(self, message: str, path: Sequence[str | int] = (), hint: str = "") -> UserError:
        """An error at a key path of the matrix, with file and line."""
        if self._locate_error is not None:
            return self._locate_error(message, tuple(path), hint)
        return UserError(message, file=self.file, path=path, hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One data set, fraction, strategy, classifier and set of seeds. `generator_seed` is None without a generator.

    `seed` is as listed in `seeds`; `generator_seed` and `classifier_seed` have the strategy's `seed_offset` added.
    """

    name: str
    dataset: str
    train_fraction: float
    strategy: str
    classifier: str
    seed: int
    split_seed: int
    generator_seed: int | None
    classifier_seed: int
