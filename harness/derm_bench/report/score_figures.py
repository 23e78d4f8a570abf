"""Figures of classification scores: dots with intervals, confusion matrices, ROC curves and reliability diagrams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from derm_bench.report import plots
from derm_bench.report.data import ReportData, Scored, number, unique
from derm_bench.report.plots import Dot, Look
from derm_bench.report.tables import supported
from derm_bench.scoring import confusion, roc_points

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

Group = tuple[str, str, str]


def arms(data: ReportData, group: Group) -> tuple[list[str], list[str]]:
    """Strategies (in the order of the matrix) and classifiers of a group."""
    rows = data.of_group(data.results, group)
    present = {row["strategy"] for row in rows}
    return [name for name in data.strategies if name in present], unique(row["classifier"] for row in rows)


def _dot(
    data: ReportData, group: Group, strategy: str, classifier: str, metric: str, look: Mapping[str, Look]
) -> Dot:
    runs = [
        r
        for r in data.of_group(data.results, group)
        if (r["strategy"], r["classifier"]) == (strategy, classifier)
    ]
    rows = [
        r
        for r in data.of_group(data.summary, group)
        if (r["strategy"], r["classifier"], r["metric"]) == (strategy, classifier, metric)
    ]
    row = rows[0] if rows else {}
    statuses = ", ".join(unique(r["status"] for r in runs if r["status"] != "done"))
    mean, low, high = (number(row.get(key)) for key in ("mean", "ci_low", "ci_high"))
    note = f"no result ({statuses})" if statuses else "not planned" if not runs else "no result"
    return Dot(strategy, mean, low, high, plots.seed_values(runs, metric), look[strategy], note)


def forest(data: ReportData, group: Group) -> Figure:
    """The primary metric of each strategy, one panel per classifier, with a dashed line at the mean of the first
    baseline."""
    look = plots.looks(data)
    strategies, classifiers = arms(data, group)
    fig = plots.figure(max(6.2, 2.2 + 3.4 * len(classifiers)), plots.dot_height(len(strategies)) + 0.75)
    axes = fig.subplots(1, len(classifiers), squeeze=False)[0]
    for column, (ax, classifier) in enumerate(zip(axes, classifiers, strict=True)):
        entries = [_dot(data, group, s, classifier, data.primary, look) for s in strategies]
        plots.dots(ax, entries, _axis(data, plots.metric_label(data.primary)), names=column == 0)
        base = next((e.mean for e in entries if e.label in data.baselines), None)
        if base is not None:
            ax.axvline(base, color=plots.BASELINE, lw=0.9, ls=(0, (4, 3)), zorder=0)
        plots.clip_to(ax, entries, *((0, 1) if plots.bounded(data.primary) else ()))
        ax.set_title(plots.short(classifier, 40))
    return fig


def deltas(data: ReportData, group: Group, baseline: str) -> Figure | None:
    """Paired differences of the primary metric to one baseline, with the margin shaded; None if there are none."""
    look = plots.looks(data)
    rows = [
        row
        for row in data.of_group(data.summary, group)
        if row["baseline"] == baseline and row["metric"] == data.primary and number(row["delta"]) is not None
    ]
    strategies, classifiers = unique(r["strategy"] for r in rows), unique(r["classifier"] for r in rows)
    if not rows:
        return None
    fig = plots.figure(max(6.2, 2.2 + 3.4 * len(classifiers)), plots.dot_height(len(strategies)) + 0.75)
    axes = fig.subplots(1, len(classifiers), squeeze=False)[0]
    for column, (ax, classifier) in enumerate(zip(axes, classifiers, strict=True)):
        by_name = {row["strategy"]: row for row in rows if row["classifier"] == classifier}
        entries = []
        for name in strategies:
            row = by_name.get(name, {})
            ends = [number(row.get(key)) for key in ("delta", "delta_ci_low", "delta_ci_high")]
            entries.append(Dot(name, ends[0], ends[1], ends[2], (), look[name], hollow=not supported(row)))
        plots.dots(ax, entries, _axis(data, _difference(data)), names=column == 0)
        ax.axvspan(-data.margin, data.margin, color="#EDEDED", lw=0, zorder=0)
        ax.axvline(0, color=plots.BASELINE, lw=0.9, zorder=0)
        anchor = Dot(
            "", 0.0, -1.2 * data.margin, 1.2 * data.margin, (-data.margin, data.margin), look[strategies[0]]
        )
        plots.clip_to(ax, [*entries, anchor])
        ax.set_title(plots.short(classifier, 40))
    return fig


def _difference(data: ReportData) -> str:
    return f"difference in {plots.metric_label(data.primary)}"


def _axis(data: ReportData, label: str) -> str:
    """A label that says so if lower is better; readers expect higher values to be better."""
    return f"{label}, lower is better" if data.higher_is_better(data.primary) is False else label


def recalls(data: ReportData, group: Group, classifier: str, classes: Sequence[str]) -> Figure:
    """Recall of each class by strategy, for one classifier, one panel per class."""
    look = plots.looks(data)
    strategies, _ = arms(data, group)
    columns = min(4, len(classes))
    lines = -(-len(classes) // columns)
    fig = plots.figure(max(6.2, 2.0 + 2.2 * columns), (plots.dot_height(len(strategies)) + 0.75) * lines)
    grid = fig.subplots(lines, columns, squeeze=False).ravel()
    for position, ax in enumerate(grid):
        if position >= len(classes):
            ax.set_axis_off()
            continue
        name = classes[position]
        entries = [_dot(data, group, s, classifier, f"recall_{name}", look) for s in strategies]
        plots.dots(ax, entries, "recall", names=position % columns == 0)
        ax.set_xlim(-0.03, 1.03)
        ax.set_title(plots.short(name, 24))
    return fig


def runs_of(
    data: ReportData, group: Group, strategy: str, classifier: str, scored: Mapping[Any, Scored]
) -> list[Scored]:
    """The predictions of the finished runs of an arm."""
    cells = [
        row["cell"]
        for row in data.of_group(data.results, group)
        if (row["strategy"], row["classifier"], row["status"]) == (strategy, classifier, "done")
    ]
    return [scored[cell, group[2]] for cell in cells if (cell, group[2]) in scored]


def mean_confusion(runs: Sequence[Scored], classes: int) -> np.ndarray:
    """Mean counts over runs, float64 [classes, classes], with the true class by row and the predicted by column."""
    import numpy as np

    total = np.zeros((classes, classes))
    for run in runs:
        known = (run.labels >= 0) & (run.predicted >= 0)
        total += confusion(run.labels[known], run.predicted[known], classes)
    return total / max(len(runs), 1)


def confusions(panels: Sequence[tuple[str, Sequence[Scored]]], classes: Sequence[str]) -> Figure:
    """Confusion matrices, one panel per strategy. The colour and the upper number are the share of the true class, and
    the lower number is the mean count over seeds."""
    import numpy as np

    k = len(classes)
    columns = min(4 if k <= 4 else 3 if k <= 7 else 2, len(panels))
    side = max(1.5, 0.52 * k)
    lines = -(-len(panels) // columns)
    fig = plots.figure(0.8 + (side + 0.25) * columns, (side + 0.45) * lines + 0.75)
    grid = fig.subplots(lines, columns, squeeze=False)
    for position, ax in enumerate(grid.ravel()):
        if position >= len(panels):
            ax.set_axis_off()
            continue
        name, runs = panels[position]
        counts = mean_confusion(runs, k)
        totals = counts.sum(axis=1, keepdims=True)
        share = np.divide(counts, totals, out=np.full_like(counts, np.nan), where=totals > 0)
        edges = np.arange(k + 1) - 0.5
        ax.pcolormesh(edges, edges, share, cmap="Blues", vmin=0, vmax=1)
        ax.set(aspect="equal", ylim=(k - 0.5, -0.5))
        for i, j in np.ndindex(k, k):
            if np.isfinite(share[i, j]):
                ink = "white" if share[i, j] > 0.55 else "#202020"
                ax.text(
                    j,
                    i - 0.12,
                    f"{share[i, j]:.2f}",
                    ha="center",
                    va="center",
                    color=ink,
                    size=8 if k <= 7 else 6,
                )
                ax.text(
                    j,
                    i + 0.27,
                    f"{counts[i, j]:.3g}",
                    ha="center",
                    va="center",
                    color=ink,
                    size=6 if k <= 7 else 5,
                )
        first, bottom = position % columns == 0, position + columns >= len(panels)
        ax.set_xticks(
            range(k),
            [plots.short(c, 12) for c in classes] if bottom else [""] * k,
            rotation=45,
            ha="right",
            size=8,
        )
        ax.set_yticks(range(k), [plots.short(c, 12) for c in classes] if first else [""] * k, size=8)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(plots.short(name, 22), size=8.5)
    fig.supxlabel("predicted class", size=9)
    fig.supylabel("true class", size=9)
    return fig


def roc(run: Scored, position: int, at: np.ndarray) -> np.ndarray | None:
    """The true positive rates of one class against the rest at the false positive rates `at`; None if the test set has
    no positives or no negatives."""
    import numpy as np

    try:
        fpr, tpr = roc_points(run.labels, run.proba, position)
    except ValueError:
        return None
    # The upper end of a vertical step counts: increasing offsets separate its ends for the interpolation.
    return np.interp(at, fpr + 1e-12 * np.arange(len(fpr)), tpr)


def roc_curves(
    arms_runs: Sequence[tuple[str, Sequence[Scored]]],
    classes: Sequence[str],
    look: Mapping[str, Look],
    aucs: Mapping[tuple[str, str], float],
) -> Figure:
    """One-vs-rest ROC curves, one panel per class: the mean over seeds of the curves of each strategy.

    aucs: the mean AUC by (strategy, class), shown in each panel."""
    import numpy as np

    at = np.linspace(0, 1, 201)
    columns = min(4, len(classes))
    lines = -(-len(classes) // columns)
    fig = plots.figure(max(5.0, 2.6 * columns), 2.75 * lines + 0.5)
    for position, ax in enumerate(fig.subplots(lines, columns, squeeze=False).ravel()):
        if position >= len(classes):
            ax.set_axis_off()
            continue
        ax.plot([0, 1], [0, 1], color=plots.GRID, lw=1)
        shown = 0
        for name, runs in arms_runs:
            curves = [c for run in runs if (c := roc(run, position, at)) is not None]
            if not curves:
                continue
            ax.plot(at, np.mean(curves, axis=0), color=look[name].color, ls=look[name].line)
            auc = aucs.get((name, classes[position]))
            if auc is not None:
                y = 0.04 + 0.075 * (len(arms_runs) - 1 - shown)
                ax.text(0.98, y, f"AUC {auc:.3f}", color=look[name].color, ha="right", size=8)
            shown += 1
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel="false positive rate")
        ax.set_ylabel("true positive rate" if position % columns == 0 else "")
        ax.set_title(plots.short(classes[position], 24))
    plots.legend(fig, [name for name, _ in arms_runs], look)
    return fig


def reliability(
    panels: Sequence[tuple[str, Sequence[tuple[str, Sequence[Scored]]]]],
    look: Mapping[str, Look],
    bins: int = 10,
) -> Figure:
    """Accuracy against the mean confidence of the predicted class, in `bins` bins of equally many images with seeds
    pooled; one panel per classifier."""
    import numpy as np

    columns = min(4, len(panels))
    lines = -(-len(panels) // columns)
    fig = plots.figure(max(4.6, 2.9 * columns), 3.0 * lines + 0.5)
    for position, ax in enumerate(fig.subplots(lines, columns, squeeze=False).ravel()):
        if position >= len(panels):
            ax.set_axis_off()
            continue
        ax.plot([0, 1], [0, 1], color=plots.GRID, lw=1)
        for name, runs in panels[position][1]:
            if not runs:
                continue
            confidence = np.concatenate([run.proba.max(axis=1) for run in runs])
            right = np.concatenate([run.labels == run.predicted for run in runs])
            order = np.argsort(confidence, kind="stable")
            lots = [lot for lot in np.array_split(order, bins) if len(lot)]
            x, y = ([float(values[lot].mean()) for lot in lots] for values in (confidence, right))
            ax.plot(x, y, color=look[name].color, ls=look[name].line, marker=look[name].marker, ms=3)
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel="mean confidence")
        ax.set_ylabel("accuracy" if position % columns == 0 else "")
        ax.set_title(plots.short(panels[position][0], 28))
    plots.legend(fig, unique(name for _, runs in panels for name, _ in runs), look)
    return fig


def fractions(data: ReportData, dataset: str, test_set: str) -> Figure:
    """The primary metric against the share of the training data, one panel per classifier, one line per strategy."""
    look = plots.looks(data)
    rows = [
        row
        for row in data.summary
        if (row["dataset"], row["test_set"], row["metric"]) == (dataset, test_set, data.primary)
    ]
    classifiers = unique(row["classifier"] for row in rows)
    names = [name for name in data.strategies if any(row["strategy"] == name for row in rows)]
    fig = plots.figure(max(5.0, 1.0 + 3.2 * len(classifiers)), 3.2)
    for column, (ax, classifier) in enumerate(
        zip(fig.subplots(1, len(classifiers), squeeze=False)[0], classifiers, strict=True)
    ):
        for name in names:
            points = {
                number(row["train_fraction"]): (
                    number(row["mean"]),
                    number(row["ci_low"]),
                    number(row["ci_high"]),
                )
                for row in rows
                if (row["strategy"], row["classifier"]) == (name, classifier)
                and number(row["mean"]) is not None
            }
            x = sorted(f for f in points if f is not None)
            means = [points[f][0] or 0.0 for f in x]
            ax.plot(x, means, color=look[name].color, ls=look[name].line, marker=look[name].marker, ms=4)
        ax.set_xscale("log")
        ticks = unique(number(row["train_fraction"]) for row in rows)
        ax.set_xticks(ticks, [f"{100 * (tick or 0):g}%" for tick in ticks])
        ax.set_xticks([], minor=True)
        ax.grid(axis="y", color=plots.GRID, lw=0.6)
        ax.set_xlabel("share of the training data")
        ax.set_ylabel(plots.metric_label(data.primary) if column == 0 else "")
        ax.set_title(plots.short(classifier, 40))
    plots.legend(fig, names, look)
    return fig
