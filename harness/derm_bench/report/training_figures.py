"""Figures of training: loss curves, composition of the training sets, and fidelity of the synthetic images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from derm_bench.report import plots
from derm_bench.report.data import CONTROL, Row, number, text, unique
from derm_bench.report.plots import Look
from derm_bench.rundir.summary import last_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

POINTS = 300
"""The maximum number of points of a curve; more points are averaged in windows."""

CONTROLS = {"real-holdout": ("#202020", "-", "real-holdout"), "noise": ("#808080", (0, (1, 1.5)), "noise")}


def thinned(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """x and y in the order of x, averaged in windows of equal size if there are more than `POINTS` points."""
    ordered = sorted(points)
    lot = -(-len(ordered) // POINTS) or 1
    lots = [ordered[k : k + lot] for k in range(0, len(ordered), lot)]
    return [sum(x for x, _ in part) / len(part) for part in lots], [
        sum(y for _, y in part) / len(part) for part in lots
    ]


def _curves(rows: Sequence[Row], key: Callable[[Row], Any]) -> dict[Any, tuple[list[float], list[float]]]:
    found: dict[Any, list[tuple[float, float]]] = {}
    for row in rows:
        step, value = number(row["step"]), number(row["value"])
        if step is not None and value is not None:
            found.setdefault(key(row), []).append((step, value))
    return {name: thinned(points) for name, points in found.items()}


def _grid(fig: Figure, lines: int, columns: int, count: int) -> list[Axes]:
    axes = list(fig.subplots(lines, columns, squeeze=False).ravel())
    for ax in axes[count:]:
        ax.set_axis_off()
    return axes[:count]


OUTPUTS = ("on real images, D(x)", "on synthetic images, D(G(z))")
"""Mean outputs of a discriminator."""


def generator_losses(rows: Sequence[Row]) -> Figure | None:
    """Losses of one generator against updates: one panel per class, one colour per network, one line per seed."""
    losses = [row for row in rows if "loss" in row["metric"]]
    names = {name: name.replace("_", " ") for name in unique(row["metric"] for row in losses)}
    return _by_class(losses, names, "loss")


def discriminator_outputs(rows: Sequence[Row], logged: Sequence[str]) -> Figure | None:
    """Mean outputs of one generator's discriminator on real and synthetic images against updates, with panels and lines
    as for the losses. `logged` are the two names that the generator's spec declares for them, or nothing. None if they
    are not declared or not logged."""
    names = dict(zip(logged, OUTPUTS, strict=False))
    return _by_class([row for row in rows if row["metric"] in names], names, "output")


def _by_class(rows: Sequence[Row], names: Mapping[str, str], ylabel: str) -> Figure | None:
    from matplotlib.lines import Line2D

    if not rows:
        return None
    classes = unique(r["class"] for r in rows)
    metrics = [name for name in names if any(r["metric"] == name for r in rows)]
    columns = min(3, len(classes))
    lines = -(-len(classes) // columns)
    fig = plots.figure(max(5.0, 2.9 * columns), 2.1 * lines + 0.5)
    colors = {metric: plots.HUES[k % len(plots.HUES)] for k, metric in enumerate(metrics)}
    for position, (ax, name) in enumerate(
        zip(_grid(fig, lines, columns, len(classes)), classes, strict=True)
    ):
        curves = _curves([r for r in rows if r["class"] == name], lambda r: (r["metric"], text(r["seed"])))
        for (metric, _), (x, y) in curves.items():
            ax.plot(x, y, color=colors[metric], lw=1.1, alpha=0.75)
        ax.set_title(plots.short(name or "all classes", 24))
        ax.set_xlabel("updates" if position + columns >= len(classes) else "")
        ax.set_ylabel(ylabel if position % columns == 0 else "")
        ax.grid(axis="y", color=plots.GRID, lw=0.6)
        ax.margins(x=0.01)
    handles = [Line2D([], [], color=colors[m], lw=2, label=names[m]) for m in metrics]
    fig.legend(handles=handles, loc="outside upper left", ncols=min(4, len(handles)))
    return fig


def classifier_curves(
    curves: Mapping[str, Sequence[Row]], look: Mapping[str, Look], primary: str
) -> Figure | None:
    """Training loss and primary metric on validation against updates, one line per seed. `curves` are by strategy."""
    panels: Sequence[tuple[str, Callable[[Row], bool]]] = (
        ("training loss", lambda r: r["split"] == "train" and "loss" in r["metric"]),
        (
            f"{plots.metric_label(primary)} on validation",
            lambda r: r["split"] == "val" and r["metric"] == primary,
        ),
    )
    names = [name for name, rows in curves.items() if any(test(row) for _, test in panels for row in rows)]
    if not names:
        return None
    fig = plots.figure(7.6, 2.9)
    for ax, (label, wanted) in zip(fig.subplots(1, 2), panels, strict=True):
        for name in names:
            lines = _curves([r for r in curves[name] if wanted(r)], lambda r: (r["metric"], text(r["seed"])))
            for x, y in lines.values():
                mark = "o" if len(x) == 1 else ""
                ax.plot(
                    x, y, color=look[name].color, ls=look[name].line, lw=1.1, alpha=0.8, marker=mark, ms=3
                )
        ax.set(xlabel="updates", ylabel=label)
        ax.grid(axis="y", color=plots.GRID, lw=0.6)
        ax.margins(x=0.01)
    plots.legend(fig, names, look)
    return fig


def composition(rows: Sequence[Row], strategies: Sequence[str]) -> Figure | None:
    """Real and synthetic training images of each strategy, one panel per class; means over seeds."""
    from matplotlib.patches import Patch

    train = [row for row in rows if row["split"] == "train"]
    names = [name for name in strategies if any(row["strategy"] == name for row in train)]
    classes = unique(row["class"] for row in train)
    if not names:
        return None
    columns = min(4, len(classes))
    lines = -(-len(classes) // columns)
    fig = plots.figure(max(6.2, 2.0 + 2.1 * columns), (0.27 * len(names) + 0.85) * lines + 0.35)
    axes = _grid(fig, lines, columns, len(classes))
    widest = 1.0
    for position, (ax, label) in enumerate(zip(axes, classes, strict=True)):
        for row, name in enumerate(reversed(names)):
            own = [r for r in train if (r["strategy"], r["class"]) == (name, label)]
            real, synthetic = (_mean([number(r[key]) or 0.0 for r in own]) for key in ("real", "synthetic"))
            ax.barh(row, real, 0.66, color="#0072B2")
            ax.barh(row, synthetic, 0.66, left=real, color="#F2B134", hatch="////", edgecolor="#8A6100", lw=0)
            ax.text(real + synthetic, row, f" {real + synthetic:,.4g}", va="center", size=7.5)
            widest = max(widest, real + synthetic)
        ax.set_yticks(
            range(len(names)),
            [plots.short(n) for n in reversed(names)] if position % columns == 0 else [""] * len(names),
        )
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_title(plots.short(label, 24))
        ax.set_xlabel("training images" if position + columns >= len(classes) else "")
    for ax in axes:
        ax.set_xlim(0, 1.25 * widest)
        ax.locator_params(axis="x", nbins=4)
    handles = [
        Patch(color="#0072B2", label="real"),
        Patch(facecolor="#F2B134", hatch="////", edgecolor="#8A6100", lw=0, label="synthetic"),
    ]
    fig.legend(handles=handles, loc="outside upper left", ncols=2)
    return fig


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def latest(rows: Sequence[Row]) -> list[Row]:
    """The rows of the last step of each generator, class, metric and seed."""
    best: dict[Any, Row] = {}
    for row in rows:
        keys = (
            "dataset",
            "train_fraction",
            "strategy",
            "generator",
            "split_seed",
            "generator_seed",
            "class",
            "metric",
        )
        key = tuple(text(row[name]) for name in keys)
        if key not in best or last_step(row) >= last_step(best[key]):
            best[key] = row
    return list(best.values())


def fidelity(
    rows: Sequence[Row], metric: str, strategies: Sequence[str], look: Mapping[str, Look]
) -> Figure | None:
    """One image metric at the last step, with one panel per class, one mark per seed, and lines at the controls."""
    from matplotlib.lines import Line2D

    last = [r for r in latest(rows) if r["metric"] == metric and number(r["value"]) is not None]
    own = [r for r in last if r["strategy"] != CONTROL]
    names = [name for name in strategies if any(r["strategy"] == name for r in own)]
    if not names:
        return None
    classes = unique(r["class"] for r in own)
    columns = min(4, len(classes))
    lines = -(-len(classes) // columns)
    fig = plots.figure(max(6.2, 2.0 + 2.2 * columns), (plots.dot_height(len(names)) + 0.75) * lines + 0.35)
    for position, (ax, label) in enumerate(
        zip(_grid(fig, lines, columns, len(classes)), classes, strict=True)
    ):
        here = [r for r in last if r["class"] == label]
        for row, name in enumerate(reversed(names)):
            values = [float(r["value"]) for r in here if r["strategy"] == name]
            ax.plot(
                values, [row] * len(values), look[name].marker, color=look[name].color, ms=5.5, alpha=0.85
            )
        for control, (color, line, _) in CONTROLS.items():
            for row_ in (r for r in here if (r["strategy"], r["generator"]) == (CONTROL, control)):
                ax.axvline(float(row_["value"]), color=color, ls=line, lw=1.4, zorder=0)
        _scale(ax.xaxis, [float(r["value"]) for r in here])
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.set_yticks(
            range(len(names)),
            [plots.short(n) for n in reversed(names)] if position % columns == 0 else [""] * len(names),
        )
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.grid(axis="x", color=plots.GRID, lw=0.6)
        ax.set_title(plots.short(label, 24))
        ax.set_xlabel(plots.metric_label(metric) if position + columns >= len(classes) else "")
    handles = [
        Line2D([], [], color=c, ls=s, lw=1.6, label=f"control: {name}") for c, s, name in CONTROLS.values()
    ]
    fig.legend(handles=handles, loc="outside upper left", ncols=2)
    return fig


def _scale(axis: Axis, values: Sequence[float]) -> None:
    """Makes the axis logarithmic if the largest value, such as that of the noise control or an untrained generator,
    would compress all others. If a value is not positive, the axis is linear around 0."""
    small = min((abs(value) for value in values if value), default=0.0)
    negative = max((-value for value in values if value < 0), default=small)
    if not values or max(values) <= 20 * max(small, negative):
        return
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

    set_scale = axis.axes.set_xscale if axis is axis.axes.xaxis else axis.axes.set_yscale
    if min(values) > 0:
        set_scale("log")
        axis.set_major_locator(LogLocator(numticks=5))
    else:
        set_scale("symlog", linthresh=negative)
        first, last = math.ceil(math.log10(negative)) + 1, math.floor(math.log10(max(values)))
        axis.set_major_locator(
            FixedLocator([0, *(10.0**k for k in range(first, last + 1, max(1, (last - first) // 3)))])
        )
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def ends(history: Sequence[Row]) -> dict[tuple[str, str], float]:
    """The last update of each generator by (strategy, class), from history.csv. A fit on several classes has an entry
    for each class, and one for the joined name."""
    found: dict[tuple[str, str], float] = {}
    for row in history:
        step = number(row["step"])
        if row["role"] == "generator" and step is not None:
            for name in (row["class"], *row["class"].split("+")):
                place = (row["name"], name)
                found[place] = max(step, found.get(place, 0.0))
    return found


def fidelity_steps(
    rows: Sequence[Row],
    metric: str,
    strategies: Sequence[str],
    look: Mapping[str, Look],
    last: Mapping[tuple[str, str], float] | None = None,
) -> Figure | None:
    """One image metric against the updates of the generator, with one panel per class and a line at the value of other
    real images; None if only one step was scored. last: the update at the end of each fit, as `ends` returns it."""
    from matplotlib.lines import Line2D

    known = last or {}
    own = [
        r if number(r["step"]) is not None else {**r, "step": known.get((r["strategy"], r["class"]))}
        for r in rows
        if r["metric"] == metric and r["strategy"] != CONTROL
    ]
    own = [r for r in own if number(r["step"]) is not None]
    scored: dict[str, set[float | None]] = {}
    for row in own:
        scored.setdefault(row["strategy"], set()).add(number(row["step"]))
    own = [r for r in own if len(scored[r["strategy"]]) > 1]
    if not own:
        return None
    real = [
        r for r in rows if (r["metric"], r["strategy"], r["generator"]) == (metric, CONTROL, "real-holdout")
    ]
    names = [name for name in strategies if any(r["strategy"] == name for r in own)]
    classes = unique(r["class"] for r in own)
    columns = min(3, len(classes))
    lines = -(-len(classes) // columns)
    fig = plots.figure(max(5.0, 2.9 * columns), 2.2 * lines + 0.5)
    for position, (ax, label) in enumerate(
        zip(_grid(fig, lines, columns, len(classes)), classes, strict=True)
    ):
        for name in names:
            curves = _curves(
                [r for r in own if (r["strategy"], r["class"]) == (name, label)],
                lambda r: text(r["generator_seed"]),
            )
            for x, y in curves.values():
                ax.plot(
                    x, y, color=look[name].color, ls=look[name].line, marker=look[name].marker, ms=3, lw=1.1
                )
        for row in (r for r in real if r["class"] == label and number(r["value"]) is not None):
            ax.axhline(float(row["value"]), color="#202020", lw=1.2, zorder=0)
        _scale(
            ax.yaxis, [float(r["value"]) for r in (*own, *real) if r["class"] == label and number(r["value"])]
        )
        ax.grid(axis="y", color=plots.GRID, lw=0.6)
        ax.set_title(plots.short(label, 24))
        ax.set_xlabel("updates" if position + columns >= len(classes) else "")
        ax.set_ylabel(plots.metric_label(metric) if position % columns == 0 else "")
    control = [Line2D([], [], color="#202020", lw=1.2, label="control: real-holdout")] if real else []
    plots.legend(fig, names, look, control)
    return fig
