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

    name: Literal["fair", "paper"] = "fair"
    allow: tuple[str, ...] = ()


class PluginUse(Options):
    """A plugin by name with its validated options (`Any`: the model belongs to the plugin)."""

    name: str
    options: Any = None


class PerClass(Options):
    """A count, one for all classes or one a class."""

    per_class: Count | dict[str, Count] | None = None


class Clean(Options):
    """What to set aside once pixels are known. `unreadable`: the share that may be, before the run fails."""

    duplicates: Literal["keep", "drop"] = "keep"
    blurred: float | None = Field(
        None, ge=0, description="drop images whose variance of the Laplacian is below"
    )
    unreadable: float = Field(0.0, ge=0, lt=1)


class Split(Options):
    """How images go to test, val, reserve and train: by group, stratified, frozen by `seed`.

    test, val, reserve: a share of the whole, or {per_class: count}. `val: test` needs a permit.
    """

    method: Literal["random", "given", "kfold"] = "random"
    test: Share | PerClass = 0.2
    val: Share | PerClass | Literal["test"] = 0.1
    reserve: Share | PerClass = 0.0
    group: Literal["auto", "none"] | str = "auto"
    seed: Seed = 0
    folds: int = Field(5, ge=2, le=100)


class DatasetEntry(PluginUse):
    label: str
    size: int = Field(64, ge=8, le=1024, description="stored side in pixels")
    resize: Literal["center-crop", "squash", "pad"] = "center-crop"
    classes: dict[str, tuple[str, ...]] | None = Field(
        None, description="class -> source labels merged into it; None: all"
    )
    limit: PerClass = PerClass()
    preprocess: tuple[TransformUse, ...] = ()
    clean: Clean = Clean()
    split: Split = Split()
    train_fraction: tuple[Fraction, ...] = Field((1.0,), min_length=1)


class Seeds(Options):
    """`together` where YAML gave a list; else the axes of the map, None where it names no such axis."""

    together: tuple[Seed, ...] | None = Field((0,), min_length=1)
    split: tuple[Seed, ...] | None = Field(None, min_length=1)
    generator: tuple[Seed, ...] | None = Field(None, min_length=1)
    classifier: tuple[Seed, ...] | None = Field(None, min_length=1)


class GeneratorUse(PluginUse):
    """A generator; `options` is a GeneratorOptions with the plugin's own fields."""

    label: str = Field("", description="what tables call it; default its name")


class Filter(Options):
    by: Literal["confidence", "discriminator"]
    keep: float = Field(0.5, gt=0, le=1)


class Synthetic(Options):
    """How many synthetic images a class: exactly one of balance, ratio, per_class, total."""

    balance: Literal[True] | Positive | None = None
    ratio: float | None = Field(None, gt=0, le=1000)
    per_class: Positive | dict[str, Count] | None = None
    total: int | None = Field(None, ge=1)
    replace_real: bool = False
    holdout: float = Field(0.0, ge=0, lt=1)
    val: Literal["real", "held_out"] = "real"
    filter: Filter | None = None
    snapshot: Literal["last", "best_fd"] | Positive = "last"

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
    name: str
    augment: tuple[TransformUse, ...] = ()
    balance: Literal["oversample", "class-weights"] | None = None
    generator: GeneratorUse | None = None
    synthetic: Synthetic | None = None
    seed_offset: Seed = 0

    @property
    def makes_cells(self) -> bool:
        """A generator without a quota is fitted, sampled and scored, but trains no classifier."""
        return self.generator is None or self.synthetic is not None


class ClassifierEntry(PluginUse):
    """A classifier; `options` is a ClassifierOptions with the plugin's own fields."""

    label: str
    source: dict[str, Any] | None = Field(None, alias="from")


class TestSet(Options):
    __test__ = False  # not a test class of pytest's

    name: str
    dataset: DatasetEntry | None = None
    label_map: Path | None = None
    synthetic: Literal["only", "added"] | None = None


class Compare(Options):
    baselines: tuple[str, ...] = ()
    across: Literal["strategy", "classifier"] = "strategy"
    pairs: tuple[tuple[dict[str, str], dict[str, str]], ...] = ()
    questions: tuple[int, ...] = ()


class Analysis(Options):
    primary: str = "balanced_accuracy"
    margin: float = Field(0.02, gt=0)
    alpha: float = Field(0.05, gt=0, lt=1)
    sweeps: Literal["all", "best_on_val"] = "all"


class Limits(Options):
    timeout: float | None = Field(None, gt=0, description="seconds a stage")
    memory: int | None = Field(None, gt=0, description="resident MB a stage")
    max_failures: int | None = Field(None, ge=1)


class Numerics(Options):
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = Field(2, ge=1, le=1024)


class Snapshots(Options):
    every: int | None = Field(None, ge=1)


class Matrix(Options):
    """A whole matrix, resolved: sweeps are expanded, labels are unique, every name is known."""

    # (message, key path, hint) -> an error that knows the line; set by the loader.
    _blame: Callable[[str, tuple[str | int, ...], str], UserError] | None = PrivateAttr(None)

    name: str
    file: Path
    protocol: Protocol = Protocol()
    datasets: tuple[DatasetEntry, ...]
    seeds: Seeds = Seeds()
    test_sets: tuple[TestSet, ...] = (TestSet(name="test"),)
    budget: Budget = Budget(updates=2000)
    strategies: tuple[StrategyEntry, ...]
    classifiers: tuple[ClassifierEntry, ...] = ()
    metrics: tuple[PluginUse, ...]
    snapshots: Snapshots = Snapshots()
    compare: Compare = Compare()
    analysis: Analysis = Analysis()
    limits: Limits = Limits()
    numerics: Numerics = Numerics()
    exclude: tuple[dict[str, Any], ...] = ()
    include: tuple[dict[str, Any], ...] = ()
    product: bool = True

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
