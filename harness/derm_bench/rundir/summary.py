"""Compute the rows of summary.csv from results.csv, fidelity.csv and predictions: means, intervals, comparisons."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from derm_bench.rundir.arms import COLUMNS, ArmName, Arms, number
from derm_bench.rundir.comparison import Analysis, compare_all, describe, rank_all
from derm_bench.rundir.frames import Row, text
from derm_bench.rundir.schema import RESULTS, SUMMARY
from derm_bench.scoring import t_interval
from derm_bench.stats.estimate import FEWEST

if TYPE_CHECKING:
    from derm_bench.stats.test_images import Deviations

CONTROL = "control"
"""The strategy name of the reference rows in fidelity.csv."""

_COMPARED: Mapping[str, int] = {"dataset": 0, "strategy": 3, "classifier": 4}


def summarise(
    results: Sequence[Row],
    fidelity: Sequence[Row] = (),
    *,
    baselines: Sequence[str] | None = None,
    across: str = "strategy",
    pairs: Sequence[Sequence[Mapping[str, str]]] = (),
    offsets: Mapping[str, int] | None = None,
    analysis: Analysis | None = None,
    sampled: Callable[[str, str], Deviations | None] | None = None,
    apart: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Return the rows of summary.csv (`derm_bench.rundir.schema.SUMMARY`), one per arm, metric and baseline.

    mean and std (n - 1) are taken over the `done` rows of an arm; without any, n_seeds is 0 and the mean is missing.
    With three seeds or more, the interval of the primary metric has the uncertainty from seeds and from test images;
    that of another metric has the former alone, and is missing if all seeds have the same value. delta is the mean
    paired difference, arm minus baseline; it is missing if a run of either arm is not done. Pairs match on the seed
    axes that both arms have. Tests, verdicts and ranks are of the primary metric (`derm_bench.rundir.comparison`).

    baselines: strategies (`across: strategy`, compared under the same classifier) or classifiers (`across:
    classifier`, compared under the same strategy); None means `real-only`, if the matrix has it. pairs: (arm, baseline)
    as maps of strategy, classifier and optionally dataset. offsets: `seed_offset` by strategy, subtracted before seeds
    are matched. sampled: a function of a cell and a test set that returns how its primary score varies with the test
    images; without it there is no verdict. apart: test sets on which arms are not compared (`Arms.apart`).

    Image metrics are computed from the rows of fidelity.csv: one row per dataset, train_fraction, strategy and metric,
    with classifier and test_set empty. The mean over classes at the last step is taken for each seed, and summarised
    over seeds. A seed that lacks a class which another seed has is left out. Control rows are not summarised.
    """
    analysis = analysis or Analysis()
    arms = Arms.of(results, offsets, sampled, apart)
    position = _COMPARED[across]
    baselines = _baselines(arms, baselines, position)
    versus = comparisons_of(arms, baselines, across, pairs)
    judged = compare_all(arms, versus, analysis)
    places = rank_all(arms, analysis)
    rows: list[dict[str, Any]] = []
    for arm, others in versus.items():
        for metric in metric_columns(results):
            row = _row(arm, metric, arms, analysis)
            if metric == analysis.primary and arm in places:
                rank = places[arm]
                row |= {"rank_low": rank.low, "rank_high": rank.high, "rank_groups": rank.groups}
            if not others or arm[position] in baselines:
                rows.append(row | {"baseline": ""})
            for label, other in others:
                compared = (
                    judged[arm, label]
                    if metric == analysis.primary
                    else describe(arms, arm, other, metric, analysis)
                )
                rows.append(row | {"baseline": label} | compared)
    return rows + _image_rows(fidelity, analysis.alpha)


def comparisons_of(
    arms: Arms,
    baselines: Sequence[str] | None,
    across: str = "strategy",
    pairs: Sequence[Sequence[Mapping[str, str]]] = (),
) -> dict[ArmName, list[tuple[str, ArmName]]]:
    """Return the (label, baseline arm) of every comparison of each arm; the arguments are those of `summarise`."""
    position = _COMPARED[across]
    names = _baselines(arms, baselines, position)
    return {
        arm: [] if arm[2] in arms.apart else _comparisons(arm, arms.rows, names, position, pairs)
        for arm in arms.rows
    }


def _baselines(arms: Arms, stated: Sequence[str] | None, position: int) -> Sequence[str]:
    if stated is not None:
        return stated
    return [name for name in ("real-only",) if any(arm[position] == name for arm in arms.rows)]


def _comparisons(
    arm: ArmName,
    arms: Mapping[ArmName, Any],
    baselines: Sequence[str],
    position: int,
    pairs: Sequence[Sequence[Mapping[str, str]]],
) -> list[tuple[str, ArmName]]:
    """Return (label, baseline arm) of every comparison of an arm."""
    found: dict[str, ArmName] = {}
    for name in baselines:
        other: Any = (*arm[:position], name, *arm[position + 1 :])
        if arm[position] != name and other in arms:
            found[name] = other
    for treated, base in pairs:
        if not all(arm[at] == treated.get(key, arm[at]) for key, at in _COMPARED.items()):
            continue
        other = (
            base.get("dataset", arm[0]),
            arm[1],
            arm[2],
            base.get("strategy", arm[3]),
            base.get("classifier", arm[4]),
        )
        if other in arms and other != arm:
            label = f"{other[3]}/{other[4]}" if other[0] == arm[0] else f"{other[0]}/{other[3]}/{other[4]}"
            found.setdefault(label, other)
    return list(found.items())


def _row(arm: ArmName, metric: str, arms: Arms, analysis: Analysis) -> dict[str, Any]:
    """The columns of an arm without its comparisons."""
    runs = arms.of_arm(arm, metric)
    row = _blank(arm, metric, runs.values) | {"n_planned": len(arms.rows[arm])}
    primary = metric == analysis.primary
    found = arms.estimate(arm, runs, primary=primary)
    if found is not None:
        row["ci_low"], row["ci_high"] = found.interval(analysis.alpha, *analysis.range_of(metric))
    return row


def _blank(arm: ArmName, metric: str, values: Sequence[float]) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(SUMMARY.names)
    row |= dict(zip(COLUMNS, arm, strict=True))
    mean, std, n, _, _ = t_interval(values)
    return row | {"metric": metric, "n_seeds": n, "mean": mean, "std": std}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _image_rows(fidelity: Sequence[Row], alpha: float) -> list[dict[str, Any]]:
    last = _last_steps(row for row in fidelity if row["strategy"] != CONTROL)
    rows = []
    for (dataset, fraction, strategy, metric), runs in last.items():
        classes = {name for values in runs.values() for name in values}
        if len(classes) > 1:
            classes.discard("all")
        means = [
            _mean([values[c] for c in sorted(classes)]) for values in runs.values() if classes <= set(values)
        ]
        row = _blank((dataset, fraction, "", strategy, ""), metric, means)
        row |= {"baseline": "", "n_planned": len(runs)}
        if len(means) >= FEWEST and row["std"] > 0:
            row["ci_low"], row["ci_high"] = t_interval(means, alpha)[3:]
        rows.append(row)
    return rows


def _last_steps(
    fidelity: Iterable[Row],
) -> dict[tuple[str, str, str, str], dict[tuple[str, str], dict[str, float]]]:
    """Map (dataset, train_fraction, strategy, metric) -> seeds -> class -> the value at the last step."""
    steps: dict[tuple[Any, ...], float] = {}
    found: dict[tuple[str, str, str, str], dict[tuple[str, str], dict[str, float]]] = {}
    for row in fidelity:
        key = (row["dataset"], text(row["train_fraction"]), row["strategy"], row["metric"])
        seeds = (text(row["split_seed"]), text(row["generator_seed"]))
        value, step = number(row["value"]), last_step(row)
        if value is None or step < steps.get((key, seeds, row["class"]), -math.inf):
            continue
        steps[key, seeds, row["class"]] = step
        found.setdefault(key, {}).setdefault(seeds, {})[row["class"]] = value
    return found


def last_step(row: Row) -> float:
    """Return the step of a row as a sortable number. Text such as `last`, or a missing step, means the end of the
    fit."""
    step = number(row.get("step"))
    return math.inf if step is None else step


def metric_columns(results: Sequence[Row]) -> list[str]:
    """Return the classification metrics of rows of results.csv, in column order."""
    fixed = set(RESULTS.names)
    return list(dict.fromkeys(column for row in results for column in row if column not in fixed))
