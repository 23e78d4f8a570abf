"""Stage kinds: all that the harness knows about each kind of stage, in one place.

Planning, `explain`, forecasts, probes, the run directory and the report read it from here; no other code compares kinds
by name. A new kind needs a record of its parameters in `params.py`, a stage function, an entry here (or a call of
`register`), and a planner that enters its stages. This file is long because all kinds stand in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from derm_bench.errors import did_you_mean
from derm_bench.plan import params as p
from derm_bench.plan import probes
from derm_bench.plan.amounts import Amounts, MadeSmall
from derm_bench.plan.model import Stage
from derm_bench.splits import PARTS

# Rough seconds for stages without earlier timings. Only their order matters: the longest stages start first.
FIXED = 1.0
EVALUATE, REFERENCE = 0.5, 15.0
PER_IMAGE_DECODED, PER_IMAGE_SAMPLED, PER_IMAGE_FITTED, PER_IMAGE_TRAINED = 0.002, 0.001, 0.003, 0.002
PER_IMAGE_AUDITED = 0.005
# The number of images per update if a plugin has no option with the batch size.
BATCH_SIZE = 64

Count = Callable[[Stage, Amounts], float | None]


def _nothing(stage: Stage, amounts: Amounts) -> None:
    return None


@dataclass(frozen=True)
class Work:
    """How the work of a stage is measured: `unit` (updates or images), `count` (the amount in a planned stage), and
    `result` (the field of the stage's result with the actual amount)."""

    unit: str
    count: Count
    result: str = ""


@dataclass(frozen=True, kw_only=True)
class StageKind:
    """One kind of stage.

    name: the unique name. word: the name in tables of stages, one of `WORDS`. function: the import path of the function
    that a worker calls as `function(context) -> result`. params: the record of its parameters. title: a format string
    over the parameters and the words that the planner adds. on_device: whether device, precision and threads change its
    results.
    work: how its work is measured (None: it is not). held: the number of images that it holds in memory. stores: the
    number of images of the stored size that it writes. seconds: an estimate of its duration from the stage and its
    amount of work. shrink: a function that makes its parameters for a probe. feeds: the tables and folders of the run
    directory that use its output.
    """

    name: str
    word: str
    function: str
    params: type[Any]
    title: str
    on_device: bool = True
    work: Work | None = None
    held: Count = _nothing
    stores: Count = _nothing
    seconds: Callable[[Stage, float | None], float] = lambda stage, units: FIXED
    shrink: Callable[[Any, MadeSmall], Any] = lambda params, small: params
    feeds: tuple[str, ...] = ()

    def units(self, stage: Stage, amounts: Amounts) -> float | None:
        """The amount of work of a stage; None if its kind does not measure work."""
        return self.work.count(stage, amounts) if self.work is not None else None


class Named(Protocol):
    """An object with a stage kind."""

    @property
    def kind(self) -> str: ...


# ------------------------------------------------------------------------------ counts and guesses


def _decoded(stage: Stage, amounts: Amounts) -> float:
    return amounts.lines(stage.params.images)


def _updates(stage: Stage, amounts: Amounts) -> float:
    return float(stage.params.updates)


def _asked(stage: Stage, amounts: Amounts) -> float:
    return float(stage.params.n)


def _scored(stage: Stage, amounts: Amounts) -> float:
    return float(sum(amounts.count(stage.params, "val").values()) + amounts.tested(stage))


def _compared(stage: Stage, amounts: Amounts) -> float:
    return float(amounts.compared(stage.params))


def _audited(stage: Stage, amounts: Amounts) -> float:
    return float(sum(sum(amounts.count(stage.params, part).values()) for part in PARTS))


def _fitted_on(stage: Stage, amounts: Amounts) -> float:
    return float(amounts.fitted_on(stage))


def _trained_on(stage: Stage, amounts: Amounts) -> float:
    return float(amounts.trained_on(stage) + sum(amounts.count(stage.params, "val").values()))


def _per_update(per_image: float) -> Callable[[Stage, float | None], float]:
    def seconds(stage: Stage, units: float | None) -> float:
        batch = stage.params.options.get(_batch_option(stage))
        return (units or 1.0) * (batch if isinstance(batch, int) else BATCH_SIZE) * per_image

    return seconds


def _batch_option(stage: Stage) -> str:
    """The option with the batch size of the plugin that a stage fits, as its spec declares it."""
    plugins = stage.shared.get("code", {}).get("plugins")
    return str(plugins[0]["spec"].get("batch_option", "batch_size")) if plugins else "batch_size"


def _per_unit(per_unit: float, fixed: float = 0.0) -> Callable[[Stage, float | None], float]:
    return lambda stage, units: fixed + per_unit * (units or 0.0)


def _always(seconds: float) -> Callable[[Stage, float | None], float]:
    return lambda stage, units: seconds


# ---------------------------------------------------------------------------------- the kinds


_BUILT_IN = (
    StageKind(
        name="decode",
        word="decode",
        function="derm_bench.stages.decode:decode",
        params=p.Decode,
        title="decode {label}",
        on_device=False,
        work=Work("images", _decoded, "images"),
        held=_decoded,
        stores=_decoded,
        seconds=_per_unit(PER_IMAGE_DECODED),
        shrink=probes.small_decode,
    ),
    StageKind(
        name="audit",
        word="audit",
        function="derm_bench.stages.audit:audit",
        params=p.Audit,
        title="audit {label} with split seed {seed_number}",
        on_device=False,
        work=Work("images", _audited, "images"),
        seconds=_per_unit(PER_IMAGE_AUDITED),
        shrink=probes.small_view,
        feeds=("audit",),
    ),
    StageKind(
        name="audit-outside",
        word="audit",
        function="derm_bench.stages.audit_outside:audit_outside",
        params=p.AuditOutside,
        title="audit {other} beside {label} with split seed {seed_number}",
        on_device=False,
    ),
    StageKind(
        name="audit-gate",
        word="audit",
        function="derm_bench.stages.audit_gate:audit_gate",
        params=p.AuditGate,
        title="stop at leaks of {label} with split seed {seed_number}",
        on_device=False,
        seconds=_always(0.0),
        shrink=probes.small_gate,
    ),
    StageKind(
        name="derive",
        word="derive",
        function="derm_bench.stages.derive:derive",
        params=p.Derive,
        title="derive {name} of {label}",
    ),
    StageKind(
        name="fit",
        word="fit",
        function="derm_bench.stages.fit:fit",
        params=p.Fit,
        title="fit {generator} [{classes}] seed {seed_number}",
        work=Work("updates", _updates, "updates"),
        held=_fitted_on,
        seconds=_per_update(PER_IMAGE_FITTED),
        shrink=probes.small_fit,
        feeds=("history",),
    ),
    StageKind(
        name="health",
        word="fit",
        function="derm_bench.stages.health:health",
        params=p.Health,
        title="check the health of {generator} [{classes}] seed {seed_number}",
        shrink=probes.small_view,
        feeds=("health",),
    ),
    StageKind(
        name="reference",
        word="fit",
        function="derm_bench.stages.reference:reference",
        params=p.Reference,
        title="fit the reference network of {label}",
        held=_fitted_on,
        seconds=_always(REFERENCE),
        shrink=probes.small_view,
    ),
    StageKind(
        name="sample",
        word="sample",
        function="derm_bench.stages.sample:sample",
        params=p.Sample,
        title="sample {n} {label} from {generator}{at} seed {seed_number}",
        work=Work("images", _asked, "n"),
        held=_asked,
        stores=_asked,
        seconds=_per_unit(PER_IMAGE_SAMPLED, 0.2),
        shrink=probes.small_sample,
    ),
    StageKind(
        name="filter",
        word="sample",
        function="derm_bench.stages.filter:best_samples",
        params=p.Filter,
        title="keep the best {n} {label} from {generator}{at} seed {seed_number} by {grade}",
        work=Work("images", _asked, "n"),
        held=_asked,
        stores=_asked,
        seconds=_per_unit(PER_IMAGE_SAMPLED, 0.2),
        shrink=probes.small_filter,
    ),
    StageKind(
        name="real-features",
        word="fidelity",
        function="derm_bench.stages.fidelity:real_features",
        params=p.RealFeatures,
        title="features of real {of_class} of {label}",
        work=Work("images", _compared),
        shrink=probes.small_view,
    ),
    StageKind(
        name="fidelity",
        word="fidelity",
        function="derm_bench.stages.fidelity:fidelity",
        params=p.Fidelity,
        title="score {what} [{of_class}]",
        work=Work("images", _compared),
        shrink=probes.small_view,
        feeds=("fidelity",),
    ),
    StageKind(
        name="memorization",
        word="fidelity",
        function="derm_bench.stages.memorization:memorization",
        params=p.Memorization,
        title="screen {what} [{of_class}] for copies",
        shrink=probes.small_view,
        feeds=("fidelity", "samples"),
    ),
    StageKind(
        name="choose",
        word="fidelity",
        function="derm_bench.stages.choose:choose",
        params=p.Choose,
        title="choose the snapshot of {what} by {metric}",
        on_device=False,
    ),
    StageKind(
        name="train",
        word="train",
        function="derm_bench.stages.train:train",
        params=p.Train,
        title="train {label} on {strategy} seed {seed_number}",
        work=Work("updates", _updates, "updates"),
        held=_trained_on,
        seconds=_per_update(PER_IMAGE_TRAINED),
        shrink=probes.small_train,
        feeds=("results", "composition", "history"),
    ),
    StageKind(
        name="evaluate",
        word="evaluate",
        function="derm_bench.stages.evaluate:evaluate",
        params=p.Evaluate,
        title="evaluate {label} on {strategy} seed {seed_number}{on}",
        work=Work("images", _scored),
        held=_scored,
        seconds=_always(EVALUATE),
        shrink=probes.small_evaluate,
        feeds=("results", "predictions"),
    ),
    StageKind(
        name="grids",
        word="analyse",
        function="derm_bench.stages.grids:grids",
        params=p.Grids,
        title="draw samples of {title}",
        on_device=False,
        feeds=("samples",),
    ),
    StageKind(
        name="training-features",
        word="analyse",
        function="derm_bench.stages.training_features:training_features",
        params=p.TrainingFeatures,
        title="features of training images of {label}",
        shrink=probes.small_view,
    ),
    StageKind(
        name="neighbours",
        word="analyse",
        function="derm_bench.stages.neighbours:neighbours",
        params=p.Neighbours,
        title="draw real neighbours of samples of {title}",
        shrink=probes.small_view,
        feeds=("samples",),
    ),
    StageKind(
        name="interpolation",
        word="analyse",
        function="derm_bench.stages.interpolate:interpolate",
        params=p.Interpolation,
        title="interpolate between samples of {title}",
        shrink=probes.small_view,
        feeds=("samples",),
    ),
    StageKind(
        name="preprocessing",
        word="analyse",
        function="derm_bench.stages.preprocessing:preprocessing",
        params=p.Preprocessing,
        title="draw the preprocessing of {title}",
        on_device=False,
        feeds=("samples",),
    ),
    StageKind(
        name="statistics",
        word="analyse",
        function="derm_bench.stages.statistics:statistics",
        params=p.Tables,
        title="compare the arms of {matrix}",
        on_device=False,
        feeds=("summary",),
    ),
    StageKind(
        name="figures",
        word="analyse",
        function="derm_bench.stages.figures:figures",
        params=p.Tables,
        title="draw the figures of {matrix}",
        on_device=False,
        feeds=("report",),
    ),
)

KINDS: dict[str, StageKind] = {kind.name: kind for kind in _BUILT_IN}


def register(kind: StageKind) -> StageKind:
    """Adds a kind of stage. Raises ValueError if another kind has the same name."""
    if KINDS.setdefault(kind.name, kind) is not kind:
        raise ValueError(f"a stage kind named '{kind.name}' already exists")
    return kind


def kind_of(stage: Named | str) -> StageKind:
    """The kind of a stage, or the kind with a name. Raises KeyError with the most similar name if there is none."""
    name = stage if isinstance(stage, str) else stage.kind
    try:
        return KINDS[name]
    except KeyError:
        raise KeyError(f"no stage kind is named '{name}'; {did_you_mean(name, KINDS)}") from None


def guessed_seconds(stage: Stage, amounts: Amounts) -> float:
    """A rough estimate of the duration of a stage in seconds, for stages without earlier timings."""
    kind = kind_of(stage)
    return kind.seconds(stage, kind.units(stage, amounts))


def word_of(identity: Mapping[str, Any]) -> str:
    """The name in tables of the stage with this identity, which another version of derm-bench may have made."""
    name = str(identity.get("kind", "unknown"))
    return KINDS[name].word if name in KINDS else name


WORDS = ("decode", "derive", "audit", "fit", "sample", "fidelity", "train", "evaluate", "analyse")
"""The names of stages in tables, in the order in which a run reaches them."""
