"""Compute the rows of summary.csv from results.csv and fidelity.csv: means, intervals, paired differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from derm_bench.rundir.frames import Row, text
from derm_bench.rundir.schema import RESULTS, SUMMARY
from derm_bench.scoring import t_interval

CONTROL = "control"
"""The strategy name of the reference rows in fidelity.csv."""

Arm = tuple[str, str, str, str, str]
"""(dataset, train_fraction, test_set, strategy, classifier), as text."""


def summarise(
    results: Sequence[Row],
    fidelity: Sequence[Row] = (),
    *,
    baselines: Sequence[str] | None = None,
    across: str = "strategy",
    pairs: Sequence[Sequence[Mapping[str, str]]] = (),
    offsets: Mapping[str, int] | None = None,
    alpha: float = 0.05,
) -> list[dict[str, Any]]:
    """Return the rows of summary.csv (`derm_bench.rundir.schema.SUMMARY`), one per arm, metric and baseline.

    mean, std (n - 1) and the two-sided 1 - alpha Student-t interval are taken over the `done` rows of an arm. With one
    seed, std and interval are missing; without any, n_seeds is 0 and the mean is missing. delta is the mean paired
    difference, arm minus baseline, with the t-interval over pairs. Pairs match on the seed axes that both arms have;
    an axis that only one arm has is averaged first. p_value, p_holm and verdict are left empty.

    baselines: strategies (`across: strategy`, compared under the same classifier) or classifiers (`across:
    classifier`, compared under the same strategy); None means `real-only`, if the matrix has it. pairs: (arm, baseline)
    as maps of strategy, classifier and optionally dataset. offsets: `seed_offset` by strategy, subtracted before seeds
    are matched.

    Image metrics are computed from the rows of fidelity.csv: one row per dataset, train_fraction, strategy and metric,
    with classifier and test_set empty. The mean over classes at the last step is taken for each seed, and summarised
    over seeds. A seed that lacks a class which another seed has is left out. Control rows are not summarised.
    """
    arms = _arms(results)
    if baselines is None:
        key = 3 if across == "strategy" else 4
        baselines = [name for name in ("real-only",) if any(arm[key] == name for arm in arms)]
    rows: list[dict[str, Any]] = []
    for arm in arms:
        versus = _comparisons(arm, arms, baselines, across, pairs)
        for metric in metric_columns(results):
            values = _values(arms[arm], metric)
            row = _row(arm, metric, list(values), alpha)
            for label, other in versus:
                paired = [] if other is None else _paired(arms[arm], arms[other], metric, offsets or {})
                rows.append(row | {"baseline": label} | _interval(paired, alpha, "delta", "delta_ci"))
    return rows + _image_rows(fidelity, alpha)


def _arms(results: Sequence[Row]) -> dict[Arm, list[Row]]:
    arms: dict[Arm, list[Row]] = {}
    for row in results:
        arm = (
            row["dataset"],
            text(row["train_fraction"]),
            row["test_set"],
            row["strategy"],
            row["classifier"],
        )
        arms.setdefault(arm, []).append(row)
    return arms


def _comparisons(
    arm: Arm,
    arms: Mapping[Arm, Any],
    baselines: Sequence[str],
    across: str,
    pairs: Sequence[Sequence[Mapping[str, str]]],
) -> list[tuple[str, Arm | None]]:
    """Return (label, baseline arm) of every comparison of an arm; ('', None) for the row of a baseline."""
    position = 3 if across == "strategy" else 4
    found: list[tuple[str, Arm | None]] = []
    for name in baselines:
        other = (*arm[:position], name, *arm[position + 1 :])
        if arm[position] != name and other in arms:
            found.append((name, other))  # type: ignore[arg-type]
    for treated, base in pairs:
        if not _named(arm, treated):
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
            found.append((label, other))
    if not found or arm[position] in baselines:
        found.insert(0, ("", None))
    return found


def _named(arm: Arm, entry: Mapping[str, str]) -> bool:
    return all(
        arm[position] == entry.get(key, arm[position])
        for key, position in (("dataset", 0), ("strategy", 3), ("classifier", 4))
    )


def _values(rows: Iterable[Row], metric: str) -> list[float]:
    found = (number(row.get(metric)) for row in rows if row["status"] == "done")
    return [value for value in found if value is not None]


def _paired(arm: Sequence[Row], base: Sequence[Row], metric: str, offsets: Mapping[str, int]) -> list[float]:
    axes = [
        axis
        for axis in ("split_seed", "generator_seed", "classifier_seed")
        if all(number(row.get(axis)) is not None for row in (*arm, *base))
    ]
    left, right = (_by_seed(rows, metric, axes, offsets) for rows in (arm, base))
    return [_mean(left[key]) - _mean(right[key]) for key in left if key in right]


def _by_seed(
    rows: Sequence[Row], metric: str, axes: Sequence[str], offsets: Mapping[str, int]
) -> dict[tuple[float, ...], list[float]]:
    found: dict[tuple[float, ...], list[float]] = {}
    for row in rows:
        value = number(row.get(metric))
        if row["status"] != "done" or value is None:
            continue
        shift = offsets.get(row["strategy"], 0)
        key = tuple(float(row[axis]) - (0 if axis == "split_seed" else shift) for axis in axes)
        found.setdefault(key, []).append(value)
    return found


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _interval(values: Sequence[float], alpha: float, name: str, bounds: str) -> dict[str, float]:
    mean, _, _, low, high = t_interval(values, alpha)
    return {name: mean, f"{bounds}_low": low, f"{bounds}_high": high}


def _row(arm: Arm, metric: str, values: Sequence[float], alpha: float) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(SUMMARY.names)
    row |= dict(zip(("dataset", "train_fraction", "test_set", "strategy", "classifier"), arm, strict=True))
    row |= {"metric": metric, "n_seeds": len(values), "std": t_interval(values)[1]}
    return row | _interval(values, alpha, "mean", "ci")


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
        rows.append(_row((dataset, fraction, "", strategy, ""), metric, means, alpha) | {"baseline": ""})
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


def number(value: Any) -> float | None:
    """Return a value as a finite float, or None if it is missing, NaN, infinite or text."""
    if value is None or value == "":
        return None
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if math.isfinite(result) else None


def metric_columns(results: Sequence[Row]) -> list[str]:
    """Return the classification metrics of rows of results.csv, in column order."""
    fixed = set(RESULTS.names)
    return list(dict.fromkeys(column for row in results for column in row if column not in fixed))
