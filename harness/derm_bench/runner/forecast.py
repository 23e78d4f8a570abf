"""What a plan will take, from earlier stages of the same kind, and the smallest difference it can show."""

from __future__ import annotations

import math
import os
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from derm_bench.plan.model import Plan, Stage
from derm_bench.plan.numerics import Machine
from derm_bench.runner.earlier import Earlier, Experience, earlier_stages, sort_of
from derm_bench.runner.work import Work
from derm_bench.store import Store


@dataclass(frozen=True)
class KindForecast:
    """What the stages of one kind will take. `known` of the `stages` rest on records, the others are guesses."""

    stages: int
    known: int
    seconds: float
    megabytes: float
    peak_mb: float | None


def forecast(plan: Plan, store: Store, keys: Sequence[str]) -> dict[str, KindForecast]:
    """The forecast of each kind among the stages `keys`, in the order of the plan."""
    earlier, work = Experience(earlier_stages(store)), Work(plan)
    grouped: dict[str, list[Stage]] = defaultdict(list)
    for key in keys:
        grouped[plan.stages[key].kind].append(plan.stages[key])
    return {kind: _forecast(work, stages, earlier) for kind, stages in grouped.items()}


def _forecast(work: Work, stages: Sequence[Stage], earlier: Experience) -> KindForecast:
    known, seconds, megabytes, peaks = 0, 0.0, 0.0, [0.0]
    images = stored_megabytes(work.plan, [stage.key for stage in stages])
    for stage in stages:
        alike = earlier.alike(sort_of(stage.identity))
        known += bool(alike)
        seconds += _scaled(alike, work.units(stage)) if alike else stage.cost
        if alike:
            peaks.append(max(one.peak_mb for one in alike))
            if stage.kind not in ("decode", "sample"):  # whose images are counted exactly
                megabytes += statistics.median(one.megabytes for one in alike)
    return KindForecast(len(stages), known, seconds, images + megabytes, max(peaks) or None)


def _scaled(alike: Sequence[Earlier], units: float | None) -> float:
    """The median, a unit of work for a unit of work where both sides say how much there was."""
    rates = [one.seconds / one.units for one in alike if one.units]
    if units and rates:
        return units * statistics.median(rates)
    return statistics.median(one.seconds for one in alike)


def wall_seconds(forecasts: Iterable[KindForecast], workers: int) -> float:
    """With all workers busy all the time, which the last stages never quite are."""
    return sum(one.seconds for one in forecasts) / workers


def workers_of(machine: Machine) -> int:
    """The workers that `run` takes unless told: one a GPU, else cores // threads."""
    if machine.device == "cuda":
        return len(machine.devices)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // machine.threads)


# --------------------------------------------------------------------------------- from the plan


def stored_megabytes(plan: Plan, keys: Sequence[str]) -> float:
    """Rough size of the images that the stages will store; networks come on top of it."""
    total = 0
    for key in keys:
        stage = plan.stages[key]
        pixels = 3 * int(stage.params.get("size", 0)) ** 2
        if stage.kind == "decode":
            total += pixels * (plan.data[stage.params["images"]].count(b"\n") + 1)
        elif stage.kind == "sample":
            total += pixels * int(stage.params["n"])
    return total / 2**20


def detectable_difference(plan: Plan, power_z: float = 0.84, alpha_z: float = 1.96) -> float | None:
    """Smallest difference of two accuracies found with 80% power at a two-sided 5% level; None without a test set.

    Over n test images and S seeds, with accuracy near 0.7, half of the variance shared by the paired arms, and a
    standard deviation over seeds of 0.02: (1.96 + 0.84) sqrt(2 (1 - 0.5) p (1 - p) / n + 2 0.02^2 / S).
    """
    if not plan.cells or not plan.splits:
        return None
    images = min(sum(split.counts("test").values()) for split in plan.splits.values())
    seeds = len({(p.cell.split_seed, p.cell.classifier_seed) for p in plan.cells})
    if not images:
        return None
    return (alpha_z + power_z) * math.sqrt(0.7 * 0.3 / images + 2 * 0.02**2 / max(1, seeds))
