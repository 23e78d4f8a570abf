"""The matrix as pydantic models: one class a YAML map, after presets, `--set` and sweeps have been applied.

Plugin entries are flat in YAML (`{name: dcgan, base: 64, budget: {...}}`). Here the plugin's own and common
options sit in `options`, an instance of the plugin's options model, which `matrix.load` validated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from derm_bench.errors import UserError
from derm_bench.specs import Budget, Options, TransformUse

PERMITS = (
    "generator_sees_test",
    "synthetic_in_test",
    "ungrouped_split",
    "select_on_test",
    "duplicates_across_splits",
    "unmatched_budget",
    "missing_class",
)


Seed = Annotated[int, Field(ge=0, lt=2**31)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(gt=0, le=1)]


class Protocol(Options):
    """`fair`, or `paper` with its permits. A permit only permits; the leak is written where it happens."""

    name: Literal["fair", "paper"] = Field(
        "fair", description="fair keeps all rules; paper allows what `allow` lists"
    )
    allow: tuple[str, ...] = Field(
        (),
        description=f"permits: {', '.join(PERMITS)}",
    )


class PluginUse(Options):
    """A plugin by name with its validated options (`Any`: the model belongs to the plugin)."""

    name: str = Field(description="the plugin")
    options: Any = Field(None, description="the plugin's options, written beside its name")


class ExecutorUse(PluginUse):
    """An executor; `options` is its own model."""


class PerClass(Options):
    """A count, one for all classes or one a class."""

    per_class: Count | dict[str, Count] | None = Field(
        None, description="a count for every class, or a map of counts; whole groups are taken"
    )


class Clean(Options):
    """What to set aside once pixels are known. `unreadable`: the share that may be, before the run fails."""

    duplicates: Literal["keep", "drop"] = Field(
        "keep",
        description="drop: of images with equal pixels one stays, the one in test before that in val before the first",
    )
    blurred: float | None = Field(
        None, ge=0, description="drop images whose variance of the Laplacian is below"
    )
    unreadable: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of images that may be unreadable before the data set counts as failed",
    )


class Split(Options):
    """How images go to test, val, reserve and train: by group, stratified, frozen by `seed`.

    test, val, reserve: a share of the whole, or {per_class: count}. `val: test` needs a permit.
    """

    method: Literal["random", "given", "kfold"] = Field(
        "random", description="random; given: the split of the source; kfold: `seeds.split` counts folds"
    )
    test: Share | PerClass = Field(0.2, description="share of the whole, or {per_class: n}")
    val: Share | PerClass | Literal["test"] = Field(
        0.1, description="as `test`; `test` selects on the test set and needs the permit select_on_test"
    )
    reserve: Share | PerClass = Field(
        0.0, description="real images that no arm trains on but `more-real`, as `test`"
    )
    group: Literal["auto", "none"] | str = Field(
        "auto",
        description="what stays together: auto (lesion or patient), an attribute, or none (permit: ungrouped_split)",
    )
    seed: Seed = Field(0, description="seed of the split, frozen unless `seeds.split` lists some")
    folds: int = Field(5, ge=2, le=100, description="number of folds of `kfold`")


class DatasetEntry(PluginUse):
    label: str = Field(description="what tables and selections call it; default its name")
    size: int = Field(64, ge=8, le=1024, description="stored side in pixels")
    resize: Literal["center-crop", "squash", "pad"] = Field(
        "center-crop", description="how images become square"
    )
    classes: dict[str, tuple[str, ...]] | None = Field(
        None, description="class -> source labels merged into it; None: all"
    )
    limit: PerClass = Field(PerClass(), description="the most images a class")
    preprocess: tuple[TransformUse, ...] = Field(
        (), description="preprocess transforms, in order, before images are stored"
    )
    clean: Clean = Field(Clean(), description="what to set aside once pixels are known")
    split: Split = Field(Split(), description="how images go to test, val, reserve and train")
    train_fraction: tuple[Fraction, ...] = Field(
        (1.0,),
        min_length=1,
        description="nested shares of the training set, an axis of the matrix; val and test stay the same",
    )


class Seeds(Options):
    """`together` where YAML gave a list; else the axes of the map, None where it names no such axis."""

    together: tuple[Seed, ...] | None = Field(
        (0,), min_length=1, description="seeds that move generator and classifier together"
    )
    split: tuple[Seed, ...] | None = Field(None, min_length=1, description="seeds of the split, or folds")
    generator: tuple[Seed, ...] | None = Field(None, min_length=1, description="seeds of generators")
    classifier: tuple[Seed, ...] | None = Field(None, min_length=1, description="seeds of classifiers")


class GeneratorUse(PluginUse):
    """A generator; `options` is a GeneratorOptions with the plugin's own fields."""

    label: str = Field("", description="what tables call it; default its name")


class Filter(Options):
    by: Literal["confidence", "discriminator"] = Field(
        description="what grades the synthetic images, fitted on train"
    )
    keep: float = Field(
        0.5, gt=0, le=1, description="share of the images that is kept; the quota is met after filtering"
    )


class Synthetic(Options):
    """How many synthetic images a class: exactly one of balance, ratio, per_class, total."""

    balance: Literal[True] | Positive | None = Field(
        None, description="true fills each class to the largest, a number to that many images"
    )
    ratio: float | None = Field(None, gt=0, le=1000, description="times the class's real training images")
    per_class: Positive | dict[str, Count] | None = Field(
        None, description="images a class, or a map of counts"
    )
    total: int | None = Field(None, ge=1, description="images in all, spread evenly")
    replace_real: bool = Field(False, description="train on synthetic images alone")
    holdout: float = Field(
        0.0, ge=0, lt=1, description="share of the samples, the last ones, kept out of training"
    )
    val: Literal["real", "held_out"] = Field("real", description="held_out: validate on the samples held out")
    filter: Filter | None = Field(None, description="keep only the better samples")
    snapshot: Literal["last", "best_fd"] | Positive = Field(
        "last",
        description="which state of the generator draws: the last, that of the best fd_domain, or that of a step",
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
    name: str = Field(description="its label")
    augment: tuple[TransformUse, ...] = Field(
        (), description="transforms applied on the fly, mixing among them"
    )
    balance: Literal["oversample", "class-weights"] | None = Field(
        None, description="oversample: draw classes equally often; class-weights: weight the loss"
    )
    generator: GeneratorUse | None = Field(None, description="the generator to fit")
    synthetic: Synthetic | None = Field(
        None,
        description="how many synthetic images a class; without it the generator is only fitted and scored",
    )
    seed_offset: Seed = Field(0, description="added to every generator and classifier seed")

    @property
    def makes_cells(self) -> bool:
        """A generator without a quota is fitted, sampled and scored, but trains no classifier."""
        return self.generator is None or self.synthetic is not None


class TakenFrom(Options):
    """A part of a fitted generator: one of the classifier's own, or that of a strategy."""

    generator: GeneratorUse | None = Field(
        None, description="the generator, as a strategy's; over pooled classes unless it says `scope`"
    )
    strategy: str | None = Field(
        None, description="the strategy whose generator it is, in place of `generator`"
    )
    part: str = Field(description="the network to take, as the generator calls it: discriminator, say")

    @model_validator(mode="after")
    def _exactly_one(self) -> TakenFrom:
        if (self.generator is None) == (self.strategy is None):
            raise ValueError("give exactly one of generator, strategy")
        return self


class Init(Options):
    """A training of the same classifier on real images of another data set, whose network starts this one; layers
    that depend on the classes start afresh where the classes are others."""

    dataset: DatasetEntry = Field(
        description="a data set of the matrix by its label, or one as under `datasets`; size, resize and preprocess "
        "are those of the cell's data set unless written"
    )
    budget: Budget | None = Field(None, description="how long to train there; default the matrix's budget")


class ClassifierEntry(PluginUse):
    """A classifier; `options` is a ClassifierOptions with the plugin's own fields."""

    label: str = Field(
        description="what tables and selections call it; default its name (of timm and torchvision, the model)"
    )
    source: TakenFrom | None = Field(
        None,
        alias="from",
        description="a part of a fitted generator to start from: {generator: ..., part: ...}",
    )
    init: Init | None = Field(
        None,
        description="start from the same network trained on another data set: {dataset: ..., budget: ...}",
    )


class TestSet(Options):
    __test__ = False  # not a test class of pytest's

    name: str = Field(description="what tables call it; `test` is the split's own")
    dataset: DatasetEntry | None = Field(None, description="an external data set, used whole")
    label_map: Path | None = Field(
        None, description="YAML file: source label -> class of the main data set, or null to leave out"
    )
    synthetic: Literal["only", "added"] | None = Field(
        None,
        description="only: score on held-out samples; added: on them and the real test set; both need a permit",
    )


class Compare(Options):
    baselines: tuple[str, ...] = Field(
        (), description="strategies (or classifiers) to compare with; default real-only, where it is"
    )
    across: Literal["strategy", "classifier"] = Field(
        "strategy", description="what is compared within a data set: strategies, or classifiers"
    )
    pairs: tuple[tuple[dict[str, str], dict[str, str]], ...] = Field(
        (), description="pairs of {strategy, classifier, dataset}; the second is the baseline"
    )
    questions: tuple[int, ...] = Field((), description="numbers of the questions that `answer` answers")


class Analysis(Options):
    primary: str = Field("balanced_accuracy", description="the metric that verdicts are about")
    margin: float = Field(0.02, gt=0, description="differences within it count as equivalent")
    alpha: float = Field(0.05, gt=0, lt=1, description="level of tests; intervals cover 1 - alpha")
    sweeps: Literal["all", "best_on_val"] = Field(
        "all", description="all points as arms, or the best on validation"
    )


class Limits(Options):
    timeout: float | None = Field(None, gt=0, description="seconds a stage")
    memory: int | None = Field(None, gt=0, description="resident MB a stage")
    max_failures: int | None = Field(None, ge=1, description="start no more stages after so many failures")


class Numerics(Options):
    precision: Literal["auto", "fp32", "tf32", "bf16"] = Field(
        "auto",
        description="auto: the profile that `doctor --probe` saved, else fp32; tf32 is for CUDA devices",
    )
    threads: int = Field(2, ge=1, le=1024, description="threads a worker")


class Snapshots(Options):
    every: int | None = Field(
        None,
        ge=1,
        description="updates between snapshots of a generator, each scored; default only the last state",
    )


class Matrix(Options):
    """A whole matrix, resolved: sweeps are expanded, labels are unique, every name is known."""

    # (message, key path, hint) -> an error that knows the line; set by the loader.
    _blame: Callable[[str, tuple[str | int, ...], str], UserError] | None = PrivateAttr(None)

    name: str = Field(description="the name of the run directory and of the run")
    file: Path = Field(description="the file that it was read from")
    protocol: Protocol = Field(Protocol(), description="fair, or paper with permits")
    datasets: tuple[DatasetEntry, ...] = Field(description="the data sets; `dataset:` is short for one")
    seeds: Seeds = Field(Seeds(), description="a list, or a map of split, generator and classifier seeds")
    test_sets: tuple[TestSet, ...] = Field((TestSet(name="test"),), description="what cells are scored on")
    budget: Budget = Field(
        Budget(updates=2000),
        description="of every classifier, the same in every arm; {epochs: n} needs the permit unmatched_budget",
    )
    strategies: tuple[StrategyEntry, ...] = Field(description="how training sets are made")
    classifiers: tuple[ClassifierEntry, ...] = Field((), description="what is trained")
    metrics: tuple[PluginUse, ...] = Field(
        description="image metrics, beside the classification metrics that are always there; default the _domain family"
    )
    snapshots: Snapshots = Field(Snapshots(), description="states of generators to keep and score")
    compare: Compare = Field(Compare(), description="which arms are compared with which")
    analysis: Analysis = Field(Analysis(), description="how differences are judged")
    limits: Limits = Field(Limits(), description="limits of stages and of the run")
    numerics: Numerics = Field(Numerics(), description="precision and threads")
    executor: ExecutorUse = Field(
        ExecutorUse(name="local"), description="what runs the stages, with options of its own"
    )
    exclude: tuple[dict[str, Any], ...] = Field(
        (), description="drops every cell that matches all keys of an element"
    )
    include: tuple[dict[str, Any], ...] = Field((), description="adds cells; a missing key means all")
    product: bool = Field(True, description="false: only the cells of `include`")

    def error(self, message: str, path: Sequence[str | int] = (), hint: str = "") -> UserError:
        """An error that planning found, with file, key path and line."""
        if self._blame is not None:
            return self._blame(message, tuple(path), hint)
        return UserError(message, file=self.file, path=path, hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One (data set, fraction, strategy, classifier, seeds). `generator_seed` is None without a generator.

    `seed` is as `seeds` lists it; generator and classifier seed have the strategy's `seed_offset` added.
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
