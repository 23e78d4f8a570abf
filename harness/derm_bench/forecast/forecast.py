"""Forecasts the time, memory and disk of a plan, and the smallest difference that its test sets can detect."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from derm_bench.forecast.costs import UPDATE_SECONDS, Costs, guess_from_cost
from derm_bench.forecast.past import Past, Took
from derm_bench.forecast.probe import Probed
from derm_bench.plan.alike import COSTLY, CostClass, cost_class
from derm_bench.plan.amounts import Amounts
from derm_bench.plan.kinds import WORDS, guessed_seconds, kind_of
from derm_bench.plan.model import Plan, Stage

# Number of evaluations on validation images during the training of a classifier (`StageRun`).
EVALUATIONS = 10
# A stage has its images in memory twice for a while: as read, and as used.
COPIES = 2
# The parameters that decide the cost class of a stage.
_SHARED = ("classifier", "generator", "dataset", *COSTLY)


@dataclass(frozen=True)
class KindForecast:
    """The forecast for all stages of one kind. Of the `stages`, `known` are forecast from records and `probed` from
    probes; the others are guessed."""

    stages: int
    known: int
    probed: int
    seconds: float
    megabytes: float
    peak_mb: float | None

    @property
    def source(self) -> str:
        """What the forecast is based on, as text."""
        counts = {
            "records": self.known,
            "a probe": self.probed,
            "a guess": self.stages - self.known - self.probed,
        }
        parts = [(name, n) for name, n in counts.items() if n]
        if len(parts) < 2:
            return "".join(name for name, _ in parts)
        return ", ".join(f"{name} for {n}" for name, n in parts)


class _Share(NamedTuple):
    """The contribution of one stage to the forecast of its kind."""

    seconds: float
    megabytes: float = 0.0
    peak_mb: float = 0.0
    known: bool = False
    probed: bool = False


def forecast(
    plan: Plan,
    keys: Sequence[str],
    past: Past,
    probed: Mapping[CostClass, Probed] | None = None,
    costs: Costs | None = None,
) -> dict[str, KindForecast]:
    """Forecasts the stages `keys`, by the word for their kind, in the order in which a run executes them.

    A stage is forecast from earlier stages with the same options and size, else from a probe, else from earlier stages
    of the same plugin, whose pace is scaled by the cost of their networks and sizes, else by a guess.
    """
    forecaster = _Forecaster(plan, past, probed or {}, costs or Costs())
    grouped: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        grouped[kind_of(plan.stages[key]).word].append(key)
    return {word: forecaster.of_kind(grouped[word]) for word in WORDS if word in grouped}


def seconds_of_stages(plan: Plan, keys: Sequence[str], past: Past, costs: Costs) -> dict[str, float]:
    """The forecast seconds of single stages, by key."""
    forecaster = _Forecaster(plan, past, {}, costs)
    return {key: forecaster.share(plan.stages[key]).seconds for key in keys}


class _Median(NamedTuple):
    """Medians over the stages of one cost class. `per_unit` is in seconds per unit of work, if the units are known, and
    `fixed` are the seconds besides them."""

    seconds: float
    per_unit: float | None
    fixed: float
    megabytes: float
    peak_mb: float

    def of(self, units: float | None) -> float:
        """Seconds for `units` units of work."""
        return self.fixed + units * self.per_unit if units and self.per_unit is not None else self.seconds


class _Forecaster:
    def __init__(self, plan: Plan, past: Past, probed: Mapping[CostClass, Probed], costs: Costs) -> None:
        self.plan, self.past, self.probed, self.amounts = plan, past, probed, Amounts(plan)
        self.costs = costs
        self._known: dict[CostClass, _Median | None] = {}
        self._costs: dict[CostClass, tuple[float | None, bool]] = {}
        self._classes: dict[tuple[Any, ...], CostClass] = {}
        self._evaluations = {
            stage.inputs["train"]: stage for stage in plan.stages.values() if "train" in stage.inputs
        }

    def of_kind(self, keys: Sequence[str]) -> KindForecast:
        shares = [self.share(self.plan.stages[key]) for key in keys]
        return KindForecast(
            len(shares),
            sum(one.known for one in shares),
            sum(one.probed for one in shares),
            sum(one.seconds for one in shares),
            stored_megabytes(self.plan, keys) + sum(one.megabytes for one in shares),
            max(one.peak_mb for one in shares) or None,
        )

    def share(self, stage: Stage) -> _Share:
        """The forecast of one stage."""
        kind = kind_of(stage)
        group = self._class_of(stage)
        probe = self.probed.get(group)
        counted = kind.stores(stage, self.amounts) is not None  # counted exactly by `stored_megabytes`
        took = self._median(group, stage)
        if took is not None:
            megabytes = 0.0 if counted else took.megabytes
            return _Share(took.of(kind.units(stage, self.amounts)), megabytes, took.peak_mb, known=True)
        if probe is None:
            return _Share(self._guess(stage, group))
        more = (kind.held(stage, self.amounts) or 0.0) - probe.images
        peak = probe.peak_mb + max(
            0.0, COPIES * 3 * int(getattr(stage.params, "size", 0)) ** 2 * more / 2**20
        )
        seconds = probe.seconds(kind.units(stage, self.amounts)) + self._evaluating(stage)
        return _Share(seconds, 0.0 if counted else probe.megabytes, peak, probed=True)

    def _class_of(self, stage: Stage) -> CostClass:
        """The `cost_class` of a stage, cached by the ids of the objects that determine it: most stages of a large plan
        share them. The plan keeps them alive, so that no id is reused."""
        memo = (
            stage.kind,
            id(stage.shared["numerics"]),
            *(id(getattr(stage.params, name, None)) for name in _SHARED),
        )
        if memo not in self._classes:
            self._classes[memo] = cost_class(stage.identity)
        return self._classes[memo]

    def _median(self, group: CostClass, stage: Stage) -> _Median | None:
        """The medians of finished stages like a cost class, that of `stage`. If there is a probe, only stages of
        exactly that class count."""
        if group not in self._known:
            alike = self.past.of_class(group)
            if not alike and group not in self.probed:
                alike = _scaled(self.past.alike(group), *self._cost(stage, group))
            self._known[group] = _in_the_median(alike) if alike else None
        return self._known[group]

    def _cost(self, stage: Stage, group: CostClass) -> tuple[float | None, bool]:
        """The cost of one unit of work of a stage of a cost class, and whether it is in multiply-adds."""
        if group not in self._costs:
            identity = stage.identity
            self._costs[group] = self.costs.per_unit(identity), self.costs.states(identity)
        return self._costs[group]

    def _guess(self, stage: Stage, group: CostClass) -> float:
        kind, (cost, is_stated) = kind_of(stage), self._cost(stage, group)
        units = kind.units(stage, self.amounts)
        if cost is None or not is_stated or not units:
            seconds = guessed_seconds(stage, self.amounts)
        else:
            seconds = guess_from_cost(kind, group.device, cost, units)
        return seconds * (self.costs.slowdown if self.plan.machine.device == "cpu" else 1.0)

    def _evaluating(self, stage: Stage) -> float:
        """Seconds of the evaluations during a training, which its probe leaves out."""
        evaluate = self._evaluations.get(stage.key)
        probe = self.probed.get(self._class_of(evaluate)) if evaluate is not None else None
        return (
            EVALUATIONS * probe.per_unit * sum(self.amounts.count(stage.params, "val").values())
            if probe
            else 0.0
        )


def _scaled(others: Sequence[Took], cost: float | None, is_stated: bool) -> list[Took]:
    """Stages of the same plugin with the pace that they would have at the given cost of a unit. Where the plugin states
    costs, those of unknown cost are left out: another network may take a hundred times as long."""
    known = [one for one in others if one.cost]
    if cost is None or not known:
        return [] if is_stated or known else list(others)
    return [
        one._replace(
            seconds=one.fixed + ratio * (one.seconds - one.fixed),
            per_unit=None if one.per_unit is None else scaled_pace(one.per_unit, ratio),
        )
        for one in known
        for ratio in [cost / (one.cost or cost)]
    ]


def scaled_pace(per_unit: float, ratio: float) -> float:
    """Seconds per unit of work that costs `ratio` times as much: what does not depend on the network stays."""
    besides = min(per_unit / 2, UPDATE_SECONDS)
    return besides + ratio * (per_unit - besides)


def _in_the_median(alike: Sequence[Took]) -> _Median:
    paces = [one.per_unit for one in alike if one.per_unit is not None]
    return _Median(
        statistics.median(one.seconds for one in alike),
        statistics.median(paces) if paces else None,
        statistics.median(one.fixed for one in alike),
        statistics.median(one.megabytes for one in alike),
        max(one.peak_mb for one in alike),
    )


def wall_seconds(forecasts: Iterable[KindForecast], workers: int) -> float:
    """Wall time in seconds if all workers are busy all the time, which is a lower bound."""
    return sum(one.seconds for one in forecasts) / workers


# --------------------------------------------------------------------------------- from the plan


def stored_megabytes(plan: Plan, keys: Sequence[str]) -> float:
    """Approximate size of the images that the stages will store, without networks."""
    total, amounts = 0.0, Amounts(plan)
    for key in keys:
        stage = plan.stages[key]
        images = kind_of(stage).stores(stage, amounts)
        if images:
            total += 3 * int(getattr(stage.params, "size", 0)) ** 2 * images
    return total / 2**20
