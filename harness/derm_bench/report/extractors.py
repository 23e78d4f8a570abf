"""Whether the networks behind image metrics agree on the order of generators.

A distance by the features of one network may prefer another generator than the same distance by those of another. Where
a matrix measures the same on several networks, their orders are compared for each class.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from derm_bench.plain_text import listed
from derm_bench.report import plots
from derm_bench.report.data import CONTROL, ReportData, Row, group_title, number, text, unique
from derm_bench.report.training_figures import latest
from derm_bench.report.view import Table
from derm_bench.stats.agreement import Agreement, Interval, agreement

SAME = {"fd": "fid"}
"""What metrics on the reference networks are called on others, where it is not their name without `_domain`."""


class Compared(NamedTuple):
    """The agreement of two metrics, by their names in the tables, on the generators of a class."""

    place: tuple[str, ...]
    of_class: str
    measure: str
    metrics: tuple[str, str]
    found: Agreement


def compared(data: ReportData) -> Iterator[Compared]:
    """Yield the agreement of each pair of metrics that measure the same on two networks, for each data set, training
    fraction and class with at least two generators."""
    measures = _measures(data)
    rows = [row for row in latest(data.fidelity) if row["strategy"] != CONTROL]
    for place in unique((text(r["dataset"]), text(r["train_fraction"])) for r in rows):
        here = data.of_group(rows, place)
        present = unique(row["metric"] for row in here)
        for measure, names in measures.items():
            for pair in itertools.combinations([name for name in present if name in names], 2):
                for of_class in unique(row["class"] for row in here):
                    own = [row for row in here if row["class"] == of_class]
                    found = agreement(*(_values(data, own, name) for name in pair))
                    if found.n > 1:
                        yield Compared(place, of_class, measure, pair, found)


def disagreements(data: ReportData) -> list[str]:
    """A sentence for each pair of metrics that order generators differently beyond their intervals."""
    told: dict[tuple[str, str], list[str]] = {}
    for one in compared(data):
        where = group_title(one.place) + (f", {one.of_class}" if one.of_class else "")
        for better, worse in one.found.reversed:
            told.setdefault(one.metrics, []).append(f"{better} and {worse} ({where})")
    return [
        f"{first} and {second} measure the same on the features of two networks, and order these generators "
        f"differently, beyond their intervals: {listed(unique(pairs))}. Neither order can be relied on by itself."
        for (first, second), pairs in told.items()
    ]


def tables(data: ReportData) -> list[Table]:
    """How far the networks agree, and which metrics have no value and why; without what there is nothing to say of."""
    return [table for table in (_agreement(data), _without_value(data)) if table is not None]


def _agreement(data: ReportData) -> Table | None:
    """How far metrics that measure the same on two networks agree on the order of generators; None without two."""
    found = list(compared(data))
    if not found:
        return None
    body = [
        [
            group_title(one.place),
            one.of_class or "all",
            *map(plots.metric_label, one.metrics),
            str(one.found.n),
            "–" if math.isnan(one.found.tau) else f"{one.found.tau:.2f}",
            listed([f"{a} and {b}" for a, b in one.found.reversed]) if one.found.reversed else "none",
        ]
        for one in found
    ]
    header = [
        "data",
        "class",
        "by",
        "and by",
        "generators",
        "Kendall's tau",
        "ordered differently beyond intervals",
    ]
    note = "Kendall's tau of the mean over seeds: 1 for the same order of the generators, -1 for the reverse."
    flagged = frozenset(k for k, one in enumerate(found) if one.found.reversed)
    return Table("Do the networks agree on the order of generators?", header, body, note, flagged=flagged)


def _without_value(data: ReportData) -> Table | None:
    """Why image metrics have no value, one row per metric, class and reason; None if all have one."""
    found: dict[tuple[str, ...], list[str]] = {}
    for row in data.without_value:
        of = f"control: {row['generator']}" if row["strategy"] == CONTROL else row["strategy"]
        place = group_title((text(row["dataset"]), text(row["train_fraction"])))
        key = (place, plots.metric_label(row["metric"]), row["class"] or "all", row["note"])
        found.setdefault(key, []).append(of)
    if not found:
        return None
    body = [[*key[:3], listed(unique(names)), key[3]] for key, names in found.items()]
    return Table("Image metrics without a value", ["data", "metric", "class", "images of", "reason"], body)


def _measures(data: ReportData) -> dict[str, list[str]]:
    """The names in the tables of the metrics that measure the same on several networks, by measure."""
    found: dict[str, list[str]] = {}
    for use in data.matrix.get("metrics") or ():
        if isinstance(use, Mapping):
            name = str(use.get("name"))
            bare = name.removesuffix("_domain")
            measure = SAME.get(bare, bare) if bare != name else name
            found.setdefault(measure, []).append(str(use.get("label") or name))
    return {measure: names for measure, names in found.items() if len(names) > 1}


def _values(data: ReportData, rows: Sequence[Row], metric: str) -> dict[str, Interval]:
    """The mean over seeds of each strategy, with higher values better. The interval has the mean of the bounds, and is
    widened to the values of all seeds. Empty for a metric without a direction."""
    higher = data.higher_is_better(metric)
    if higher is None:
        return {}
    found = {}
    for strategy in unique(row["strategy"] for row in rows):
        own = [row for row in rows if (row["strategy"], row["metric"]) == (strategy, metric)]
        values = [value for row in own if (value := number(row["value"])) is not None]
        if values:
            mean = sum(values) / len(values)
            bounds = [_bound(own, side) for side in ("ci_low", "ci_high")]
            wide = [*values, *(bound for bound in bounds if not math.isnan(bound))]
            low, high = (min(wide), max(wide)) if len(wide) > 1 else (math.nan, math.nan)
            found[strategy] = (mean, low, high) if higher else (-mean, -high, -low)
    return found


def _bound(rows: Sequence[Row], column: str) -> float:
    known = [value for row in rows if (value := number(row[column])) is not None]
    return sum(known) / len(known) if known else math.nan
