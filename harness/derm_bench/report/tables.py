"""Tables of a run: results.csv rows to summary.csv rows, and the CSV, Markdown and terminal spellings."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError
from derm_bench.report.data import (
    CONTROL,
    SUMMARY_COLUMNS,
    Row,
    group_title,
    metric_columns,
    number,
    read_csv,
    same,
    text,
    unique,
)
from derm_bench.scoring import t_interval

if TYPE_CHECKING:
    from rich.table import Table

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
    """Rows of summary.csv (`SUMMARY_COLUMNS`), a row a (arm, metric, baseline).

    mean, std (n - 1) and the two-sided 1 - alpha Student-t interval over the `done` rows of an arm; one seed
    has no std and no interval, none at all has n_seeds 0 and no mean. delta is the mean paired difference,
    arm minus baseline, with the t-interval over pairs; pairs match on the seed axes that both have, an axis
    that only one side has being averaged first. p_value, p_holm and verdict stay empty here.

    baselines: strategies (`across: strategy`, the same classifier) or classifiers (`across: classifier`, the
    same strategy); None: `real-only` where there is one. pairs: (arm, baseline) as maps of strategy,
    classifier and optionally dataset. offsets: `seed_offset` by strategy, taken off before seeds are matched.

    Image metrics come from fidelity.csv rows: a row a (dataset, train_fraction, strategy, metric) with
    classifier and test_set empty; over seeds, of the mean over classes at the last step. A seed that lacks a
    class which another seed has is left out; control rows are not summarised.
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
    """(label, baseline arm) of every comparison an arm stands in; ('', None) for a baseline's own row."""
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
    row: dict[str, Any] = dict.fromkeys(SUMMARY_COLUMNS)
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
    """(dataset, train_fraction, strategy, metric) -> seeds -> class -> the value at the last step."""
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
    """A row's step as a number to order by: a word such as `last`, or nothing, stands for the end of the
    fit."""
    step = number(row.get("step"))
    return math.inf if step is None else step


def planned(results: Sequence[Row], group: Sequence[str], strategy: str, classifier: str) -> list[Row]:
    """All planned runs of an arm, finished or not; group is (dataset, train_fraction, test_set)."""
    wanted = (*group, strategy, classifier)
    keys = ("dataset", "train_fraction", "test_set", "strategy", "classifier")
    return [
        row for row in results if all(same(row[key], value) for key, value in zip(keys, wanted, strict=True))
    ]


def write_csv(rows: Iterable[Row], columns: Sequence[str], path: Path) -> None:
    """Writes rows under `columns`, whole or not at all: floats by `repr`, '' for what is missing or NaN."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([text(row.get(column)) for column in columns] for row in rows)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(f"cannot write it: {error.strerror}", file=path) from error


def write_text(content: str, path: Path) -> None:
    """Writes a text file (UTF-8), whole or not at all."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(content, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(f"cannot write it: {error.strerror}", file=path) from error


def plus_minus(row: Row, digits: int = 3) -> str:
    """`0.712 ± 0.034`: mean and half-width of the interval; the mean alone for one seed, a dash for none."""
    mean, low, high = (number(row.get(name)) for name in ("mean", "ci_low", "ci_high"))
    if mean is None:
        return "–"
    return (
        f"{mean:.{digits}f}"
        if low is None or high is None
        else f"{mean:.{digits}f} ± {(high - low) / 2:.{digits}f}"
    )


def difference(row: Row, digits: int = 3) -> str:
    """`+0.021 [-0.004, +0.046]`: delta and its interval; '' where nothing is compared."""
    delta, low, high = (number(row.get(name)) for name in ("delta", "delta_ci_low", "delta_ci_high"))
    if delta is None:
        return ""
    point = f"{delta:+.{digits}f}"
    return point if low is None or high is None else f"{point} [{low:+.{digits}f}, {high:+.{digits}f}]"


def done_of_planned(runs: Sequence[Row]) -> str:
    """`3` when every planned run is done, else `2 of 3`."""
    done = sum(row["status"] == "done" for row in runs)
    return str(done) if done == len(runs) else f"{done} of {len(runs)}"


_MARKDOWN = {ord(mark): f"\\{mark}" for mark in "\\`*_[]|#~$"} | {
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord("&"): "&amp;",
}


def markdown_escape(value: Any) -> str:
    """Text that Markdown shows as it is, on one line."""
    return " ".join(str(value).split()).translate(_MARKDOWN)


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[Any]], escape: Callable[[Any], str] = markdown_escape
) -> str:
    """A pipe table. Columns whose every filled cell starts like a number are aligned right."""
    cells = [[escape("" if value is None else value) for value in row] for row in rows]
    right = [
        all(row[k][:1] in "+-–0123456789." for row in cells if row[k]) and bool(cells)
        for k in range(len(header))
    ]
    lines = [[escape(name) for name in header], ["---:" if flag else "---" for flag in right], *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def terminal_table(
    summary: Sequence[Row], results: Sequence[Row], primary: str = "balanced_accuracy"
) -> Table:
    """The table that `run` prints: a section a (dataset, train_fraction, test set).

    A row a (strategy, classifier) shows the primary metric as mean ± half-width of the 95% interval, the
    seeds that are done of those planned, and the paired difference to the first baseline.
    """
    from rich.table import Table
    from rich.text import Text

    scores = [row for row in summary if row["metric"] == primary]
    versus = unique(row["baseline"] for row in scores if row["baseline"])
    groups = unique((row["dataset"], text(row["train_fraction"]), row["test_set"]) for row in results)
    table = Table(
        title=Text(f"{primary.replace('_', ' ')}, mean ± half-width of the 95% interval over seeds")
    )
    for name in ["data"] * (len(groups) > 1) + ["strategy", "classifier"]:
        table.add_column(name, overflow="fold")
    table.add_column(Text(primary), justify="right", no_wrap=True)
    table.add_column("done", justify="right")
    if versus:
        table.add_column(Text(f"Δ to {versus[0]}"), justify="right")
    for group in groups:
        arms = unique((r["strategy"], r["classifier"]) for r in results if _in_group(r, group))
        for position, (strategy, classifier) in enumerate(arms):
            runs = planned(results, group, strategy, classifier)
            rows = [
                r
                for r in scores
                if _in_group(r, group) and (r["strategy"], r["classifier"]) == (strategy, classifier)
            ]
            compared = next((r for r in rows if versus and r["baseline"] == versus[0]), {})
            cells = [group_title(group) if position == 0 else ""] * (len(groups) > 1)
            cells += [strategy, classifier, plus_minus(rows[0] if rows else {}), done_of_planned(runs)]
            cells += [difference(compared)] * bool(versus)
            style = "" if all(row["status"] == "done" for row in runs) else "yellow"
            table.add_row(*map(Text, cells), style=style, end_section=position == len(arms) - 1)
    missing = sum(row["status"] != "done" for row in results)
    if missing:
        table.caption = Text(f"{missing} of {len(results)} rows are not done; results.csv says why")
    return table


def _in_group(row: Row, group: Sequence[str]) -> bool:
    return all(
        same(row[key], value)
        for key, value in zip(("dataset", "train_fraction", "test_set"), group, strict=True)
    )


def fidelity_table(fidelity: Sequence[Row]) -> Table:
    """What `run` prints where no classifier is trained: a row a (data set, fraction, strategy, class), the mean over
    seeds of the last values of each metric. Controls come last, to be read against."""
    from rich.table import Table
    from rich.text import Text

    last = [row for row in fidelity if row["step"] in ("last", "")]
    metrics = unique(row["metric"] for row in last)
    values: dict[tuple[tuple[str, str, str], str], list[float]] = {}
    for row in sorted(last, key=lambda row: row["strategy"] == "control"):
        if (value := number(row["value"])) is not None:
            values.setdefault((_fidelity_place(row), row["metric"]), []).append(value)
    table = Table(title="distances of samples from real training images, mean over seeds")
    for name in ("data", "strategy", "class"):
        table.add_column(name, overflow="fold")
    for name in metrics:
        table.add_column(Text(name), justify="right")
    for place in unique(place for place, _ in values):
        found = [values.get((place, name)) for name in metrics]
        table.add_row(*map(Text, place), *(Text(f"{fmean(v):.4g}" if v else "") for v in found))
    return table


def _fidelity_place(row: Row) -> tuple[str, str, str]:
    name = f"{row['generator']} (control)" if row["strategy"] == "control" else row["strategy"]
    fraction = "" if number(row["train_fraction"]) in (None, 1.0) else f"@{row['train_fraction']}"
    return f"{row['dataset']}{fraction}", str(name), str(row["class"])


def summarise_for_terminal(run_dir: Path, primary: str = "balanced_accuracy") -> Table:
    """`terminal_table` of a run directory on disk; `fidelity_table` where it has no cell."""
    results = read_csv(run_dir / "results.csv")
    if not results:
        return fidelity_table(read_csv(run_dir / "fidelity.csv"))
    return terminal_table(read_csv(run_dir / "summary.csv"), results, primary)
