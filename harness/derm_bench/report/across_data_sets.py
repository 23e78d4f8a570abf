"""The comparison of arms over data sets, and its critical-difference diagram."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from derm_bench.report import plots
from derm_bench.report.data import ReportData, number, unique

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from derm_bench.stats.data_sets import OverDataSets


def over_data_sets(data: ReportData) -> tuple[list[str], OverDataSets] | None:
    """The comparison of the arms over data sets on the whole training part and the test set `test`: the arms that are
    done on all data sets, and the result; None with fewer than two data sets or arms."""
    from derm_bench.stats.data_sets import over_data_sets as compare

    means = _means(data)
    arms = unique(arm for _, arm in means)
    names = unique(name for name, _ in means)
    shared = [arm for arm in arms if all((name, arm) in means for name in names)]
    if len(names) < 2 or len(shared) < 2:
        return None
    scores = [[means[name, arm] for arm in shared] for name in names]
    higher = data.higher_is_better(data.primary) is not False
    return shared, compare(scores, alpha=data.alpha, higher_is_better=higher)


def _means(data: ReportData) -> Mapping[tuple[str, str], float]:
    found = {}
    for row in data.summary:
        at_whole = number(row["train_fraction"]) == 1 and row["test_set"] == "test"
        if row["metric"] != data.primary or not row["classifier"] or not at_whole:
            continue
        mean, whole = number(row["mean"]), number(row["n_seeds"]) == number(row.get("n_planned"))
        if mean is not None and whole:
            found[row["dataset"], f"{row['strategy']}/{row['classifier']}"] = mean
    return found


def critical_differences(data: ReportData) -> Figure | None:
    """The diagram of Demsar (2006): arms on an axis of mean ranks, the best on top, with bars that join arms whose mean
    ranks differ by less than Nemenyi's critical difference; None with fewer than two data sets or arms."""
    found = over_data_sets(data)
    if found is None:
        return None
    arms, result = found
    order = sorted(range(len(arms)), key=lambda k: result.ranks[k])
    ranks = [result.ranks[k] for k in order]
    bars = groups_within(ranks, result.critical_difference)
    fig = plots.figure(6.4, plots.dot_height(len(arms)) + 0.16 * len(bars) + 0.8)
    ax = fig.subplots()
    for row, k in enumerate(order):
        ax.plot([1, result.ranks[k]], [-row, -row], color=plots.GRID, lw=0.8, zorder=0)
        ax.plot([result.ranks[k]], [-row], "o", ms=6, color=plots.BASELINE)
    for place, (first, last) in enumerate(bars):
        y = 0.6 + 0.4 * place
        ax.plot(
            [ranks[first] - 0.03, ranks[last] + 0.03],
            [y, y],
            lw=3,
            color=plots.HUES[0],
            solid_capstyle="butt",
        )
    ax.set_yticks([-row for row in range(len(arms))], [plots.short(arms[k]) for k in order])
    ax.set_ylim(-len(arms) + 0.4, 0.9 + 0.4 * len(bars))
    ax.set_xlim(0.9, len(arms) + 0.1)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"mean rank over data sets; critical difference {result.critical_difference:.2f}")
    return fig


def groups_within(ranks: list[float], difference: float) -> list[tuple[int, int]]:
    """The longest runs (first, last) of at least two sorted ranks that differ by less than `difference`."""
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(k for k, other in enumerate(ranks) if other - rank < difference)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
