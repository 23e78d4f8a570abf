"""Compares arms with their baselines: differences, intervals, p values, verdicts and ranks, as columns of
summary.csv."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from derm_bench.rundir.arms import ArmName, Arms, Runs
from derm_bench.scoring.names import range_of
from derm_bench.stats.estimate import Estimate
from derm_bench.stats.false_claim import PRIOR_MARGINS, false_claim
from derm_bench.stats.families import holm
from derm_bench.stats.ranks import Rank, ranks
from derm_bench.stats.verdict import INCONCLUSIVE, Verdict, decide

SOURCES = ("seed", "split", "generator", "classifier", "test")
"""The sources of variance that have a column."""

MOST_RANKED = 100
"""The most arms of a test set that are ranked: the number of their pairs grows with its square."""


@dataclass(frozen=True)
class Analysis:
    """How differences are judged: the `analysis` of the matrix, the direction of its primary metric, and the classes,
    which name metrics."""

    primary: str = "balanced_accuracy"
    margin: float = 0.02
    alpha: float = 0.05
    higher_is_better: bool = True
    classes: Sequence[str] = ()

    def range_of(self, metric: str) -> tuple[float, float]:
        return range_of(metric, self.classes)


@dataclass(eq=False)
class Compared:
    """The comparison of an arm with a baseline on the primary metric. found is None without an interval; problem then
    says why."""

    arm: ArmName
    base: ArmName
    label: str
    runs: Runs
    found: Estimate | None
    problem: str
    p_holm: float | None = None


def compare_all(
    arms: Arms, versus: Mapping[ArmName, Sequence[tuple[str, ArmName]]], analysis: Analysis
) -> dict[tuple[ArmName, str], dict[str, Any]]:
    """Return the columns of the comparisons of the primary metric, by arm and label of the baseline.

    versus: the (label, baseline) pairs of each arm. The family of Holm's correction is all comparisons on one test set
    of a data set.
    """
    families: dict[tuple[str, str], list[Compared]] = {}
    for arm, others in versus.items():
        for label, base in others:
            one = _compared(arms, arm, base, label, analysis)
            families.setdefault((arm[0], arm[2]), []).append(one)
    found: dict[tuple[ArmName, str], dict[str, Any]] = {}
    for family in families.values():
        p_values = [None if one.found is None else one.found.p_value for one in family]
        for one, p_holm in zip(family, holm(p_values), strict=True):
            one.p_holm = p_holm
            found[one.arm, one.label] = _columns(arms, one, analysis)
    return found


def describe(arms: Arms, arm: ArmName, base: ArmName, metric: str, analysis: Analysis) -> dict[str, Any]:
    """Return the difference of a metric that is not the primary one, with its interval over seeds."""
    if not (arms.whole(arm) and arms.whole(base)):
        return {}
    runs = arms.pairs(arm, base, metric)
    found = arms.estimate(arm, runs, primary=False)
    return _difference(runs, found, metric, analysis)


def rank_all(arms: Arms, analysis: Analysis) -> dict[ArmName, Rank]:
    """Return the rank intervals of the arms of each test set on the primary metric: of those whose runs are all done
    and that have enough of them."""
    found: dict[ArmName, Rank] = {}
    for group in dict.fromkeys(arm[:3] for arm in arms.rows if arm[2] not in arms.apart):
        own = [arm for arm in arms.rows if arm[:3] == group and arm[4] and arms.whole(arm)]
        own = [arm for arm in own if not arms.of_arm(arm, analysis.primary).few()]
        if not 2 <= len(own) <= MOST_RANKED:
            continue
        means = [_mean(arms.of_arm(arm, analysis.primary).values) for arm in own]
        p_values: dict[tuple[int, int], float | None] = {}
        for i, arm in enumerate(own):
            for j in range(i + 1, len(own)):
                one = _compared(arms, arm, own[j], "", analysis)
                p_values[i, j] = None if one.found is None else one.found.p_value
        if all(p is None for p in p_values.values()):
            continue
        placed = ranks(means, p_values, analysis.alpha, higher_is_better=analysis.higher_is_better)
        found |= dict(zip(own, placed, strict=True))
    return found


def _compared(arms: Arms, arm: ArmName, base: ArmName, label: str, analysis: Analysis) -> Compared:
    runs = arms.pairs(arm, base, analysis.primary)
    unfinished = [
        f"{arms.done(one)} of {len(arms.rows[one])} runs of {one[3]}/{one[4]} are done"
        for one in (arm, base)
        if not arms.whole(one)
    ]
    if unfinished:
        return Compared(arm, base, label, runs, None, "; ".join(unfinished))
    if few := runs.few():
        return Compared(arm, base, label, runs, None, _too_few(few, runs))
    if any(len(arms.of_arm(one, analysis.primary)) < len(arms.rows[one]) for one in (arm, base)):
        return Compared(arm, base, label, runs, None, f"{analysis.primary} is not defined in every run")
    if any(each is None for each in arms.deviations(arm, runs)):
        problem = (
            "what other test images would give is unknown: a class has a single lesion or patient, predictions are "
            "missing, or the metric is of a plugin that gives no number for images that are drawn again"
        )
        return Compared(arm, base, label, runs, None, problem)
    found = arms.estimate(arm, runs, primary=True)
    return Compared(arm, base, label, runs, found, "" if found else "the difference has no variance")


def _too_few(few: str, runs: Runs) -> str:
    if few == "no run":
        return "no run of the arm has the seeds of a run of the baseline"
    if few.startswith("one"):
        return f"{few}: another one may give another difference"
    if len(runs) == 2:
        values = " and ".join(f"{value:+.3f}" for value in runs.values)
        return f"{few} give no interval; the differences are {values}"
    return f"{few} give no interval"


def _columns(arms: Arms, one: Compared, analysis: Analysis) -> dict[str, Any]:
    found = one.found
    if found is None or one.p_holm is None:
        whole = arms.whole(one.arm) and arms.whole(one.base)
        shown = _difference(one.runs, None, analysis.primary, analysis) if whole else {}
        return shown | {"verdict": INCONCLUSIVE, "reason": one.problem}
    verdict: Verdict = decide(
        found,
        one.p_holm,
        alpha=analysis.alpha,
        margin=analysis.margin,
        higher_is_better=analysis.higher_is_better,
    )
    return {
        **_difference(one.runs, found, analysis.primary, analysis),
        "p_value": found.p_value,
        "p_holm": one.p_holm,
        "verdict": verdict.word,
        "df": found.df,
        **{f"variance_{name}": found.parts.get(name) for name in SOURCES},
        "false_claim": false_claim(found, PRIOR_MARGINS * analysis.margin),
        "reason": verdict.reason,
    }


def _difference(runs: Runs, found: Estimate | None, metric: str, analysis: Analysis) -> dict[str, Any]:
    """The columns of a difference, with the bounds cut at the largest possible difference."""
    lowest, highest = analysis.range_of(metric)
    columns: dict[str, Any] = {"delta": _mean(runs.values) if found is None else found.mean}
    if found is not None:
        low, high = found.interval(analysis.alpha, lowest - highest, highest - lowest)
        columns |= {"delta_ci_low": low, "delta_ci_high": high}
    return columns


def _mean(values: Iterable[float]) -> float:
    kept = list(values)
    return math.fsum(kept) / len(kept) if kept else math.nan
