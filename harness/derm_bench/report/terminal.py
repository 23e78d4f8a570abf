"""The table that `run` prints: the scores of all strategies, or of the images if no classifier is trained."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from derm_bench.report.data import CONTROL, IN_TABLES_ONLY, ReportData, Row, group_title, number, unique
from derm_bench.report.tables import difference, done_of_planned, mean_of, planned, supported, verdict

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def summarise_for_terminal(data: ReportData) -> Table:
    """The `terminal_table` of a run, or its `fidelity_table` if it has no cells."""
    return terminal_table(data) if data.results else fidelity_table(data.fidelity)


def terminal_table(data: ReportData) -> Table:
    """One section per data set, training fraction and test set, with one row per strategy and classifier: the mean of
    the primary metric with its interval, the number of finished and planned seeds, and the paired difference to the
    first baseline with the verdict. A difference that the data support is bold; no other one is."""
    from rich.table import Table
    from rich.text import Text

    metric, direction = data.primary, data.direction(data.primary)
    several, versus = len(data.groups) > 1, data.baselines[:1]
    repeats = data.repeats(group[0] for group in data.groups)
    title = f"{metric.replace('_', ' ')}, mean and {data.level} interval over {repeats}"
    table = Table(title=Text(f"{title}; {direction}" if direction == "lower is better" else title))
    for name in ["data"] * several + ["strategy", "classifier"]:
        table.add_column(name, overflow="fold")
    table.add_column(Text(metric), justify="right", no_wrap=True)
    table.add_column("done", justify="right")
    for name in versus:
        table.add_column(Text(f"Δ to {name}"), justify="right")
        table.add_column("verdict", no_wrap=True)
    for group in data.groups:
        arms = unique((r["strategy"], r["classifier"]) for r in data.of_group(data.results, group))
        for position, arm in enumerate(arms):
            runs = planned(data.results, group, *arm)
            cells = [Text(group_title(group) if position == 0 else "")] * several
            cells += [*map(Text, arm), *_scores(data, group, arm, runs, versus)]
            style = "" if all(row["status"] == "done" for row in runs) else "yellow"
            table.add_row(*cells, style=style, end_section=position == len(arms) - 1)
    missing = sum(row["status"] != "done" for row in data.results)
    if missing:
        table.caption = Text(
            f"{missing} of {len(data.results)} rows are not done; results.csv gives the reasons"
        )
    return table


def _scores(
    data: ReportData,
    group: Sequence[str],
    arm: tuple[str, str],
    runs: Sequence[Row],
    versus: Sequence[str],
) -> list[Text]:
    """The cells of one row after the strategy and classifier."""
    from rich.text import Text

    own = [
        row
        for row in data.of_group(data.summary, group)
        if row["metric"] == data.primary and (row["strategy"], row["classifier"]) == arm
    ]
    compared = [next((row for row in own if row["baseline"] == name), {}) for name in versus]
    cells = [Text(mean_of(own[0] if own else {}, data.primary, runs)), Text(done_of_planned(runs))]
    for row in compared:
        style = "bold" if supported(row) else ""
        cells += [Text(difference(row), style), Text(verdict(row), style)]
    return cells


def fidelity_table(fidelity: Sequence[Row]) -> Table:
    """One row per data set, fraction, strategy and class with the mean over seeds of the last values of each metric.
    Controls come last, for comparison."""
    from rich.table import Table
    from rich.text import Text

    last = [row for row in fidelity if row["step"] in ("last", "")]
    metrics = unique(row["metric"] for row in last if row["metric"] not in IN_TABLES_ONLY)
    values: dict[tuple[tuple[str, str, str], str], list[float]] = {}
    for row in sorted(last, key=lambda row: row["strategy"] == CONTROL):
        if (value := number(row["value"])) is not None:
            values.setdefault((_place(row), row["metric"]), []).append(value)
    table = Table(title="synthetic images compared with real ones, mean over seeds; more in fidelity.csv")
    for name in ("data", "strategy", "class"):
        table.add_column(name, overflow="fold")
    for name in metrics:
        table.add_column(Text(name), justify="right")
    for place in unique(place for place, _ in values):
        found = [values.get((place, name)) for name in metrics]
        table.add_row(*map(Text, place), *(Text(f"{fmean(v):.4g}" if v else "") for v in found))
    return table


def _place(row: Row) -> tuple[str, str, str]:
    name = f"{row['generator']} (control)" if row["strategy"] == CONTROL else row["strategy"]
    return group_title((row["dataset"], row["train_fraction"])), str(name), str(row["class"])
