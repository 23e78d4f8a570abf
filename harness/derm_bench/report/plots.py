"""Style that all figures share: sizes, one colour per strategy, dots with intervals, saving as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.report.data import ReportData, number
from derm_bench.scoring import HIGHER_IS_BETTER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, which colour-blind readers tell apart, without its yellow (too pale on white).
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195")
BASELINE = "#4D4D4D"
GRID = "#D9D9D9"
MARKERS = "osD^vPX"
OVERLAID = 6
"""Strategies that one panel of curves can show and stay readable."""

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#808080",
    "axes.axisbelow": True,
    "xtick.color": "#404040",
    "ytick.color": "#404040",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    "figure.facecolor": "white",
    "text.parse_math": False,  # a `$` in a label is a dollar sign
    "svg.hashsalt": "derm-bench",  # the same figure gives the same bytes
}


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib settings of the report, for the time of a `with` block; nothing global stays changed."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):  # type: ignore[arg-type]  # its keys are a closed list of literals
        yield


@dataclass(frozen=True)
class Look:
    """How a strategy is drawn, in every figure alike."""

    color: str
    marker: str
    line: str


def looks(data: ReportData) -> dict[str, Look]:
    """Colour, marker and line of each strategy: baselines dark grey, the others in the order of the
    matrix."""
    result: dict[str, Look] = {}
    others = 0
    for name in data.strategies:
        if name in data.baselines and BASELINE not in {look.color for look in result.values()}:
            result[name] = Look(BASELINE, "o", "-")
            continue
        turn = others // len(HUES)
        result[name] = Look(
            HUES[others % len(HUES)], MARKERS[turn % len(MARKERS)], ("-", "--", ":", "-.")[turn % 4]
        )
        others += 1
    return result


def chunks(names: Sequence[str], first: Sequence[str]) -> list[list[str]]:
    """Names in groups that one panel can overlay; the first of those in `first` (baselines) is in every group."""
    if len(names) <= OVERLAID + 1:
        return [list(names)] if names else []
    fixed = [name for name in names if name in first][:1]
    rest = [name for name in names if name not in fixed]
    return [fixed + rest[k : k + OVERLAID] for k in range(0, len(rest), OVERLAID)]


def figure(width: float, height: float) -> Figure:
    """An empty figure, inches, that lays itself out."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(fig: Figure, path: Path) -> None:
    """Writes an SVG without a date in it. Letters are outlines: it looks the same on every machine."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    # Not `savefig`, which draws everything once more, unseen, to lay it out: drawing lays it out anyhow.
    FigureCanvasSVG(fig).print_svg(path, metadata={"Date": None, "Creator": "derm-bench"})


def short(label: str, width: int = 26) -> str:
    """A label that fits beside an axis: broken after a comma or dash, the middle cut out where it is very
    long."""
    if len(label) > 2 * width:
        label = f"{label[: width + 4]}…{label[-(width - 6) :]}"
    if len(label) <= width:
        return label
    cut = max((label.rfind(mark, 0, width) for mark in ",-[/ "), default=-1)
    cut = cut + 1 if cut > width // 3 else width
    return f"{label[:cut]}\n{label[cut:]}"


@dataclass(frozen=True)
class Dot:
    """One line of a dot plot: mean with its interval, and the values of single seeds."""

    label: str
    mean: float | None
    low: float | None
    high: float | None
    points: Sequence[float]
    look: Look
    note: str = "no result"


def dot_height(rows: int) -> float:
    """Inches that a dot plot of `rows` lines needs without its axis."""
    return 0.34 * rows + 0.25


def dots(ax: Axes, entries: Sequence[Dot], xlabel: str, *, names: bool = True) -> None:
    """Draws entries from the top down: a filled mark and bar for mean and interval, hollow marks for
    seeds."""
    count = len(entries)
    for row, entry in enumerate(entries):
        y = count - 1 - row
        if entry.mean is None:
            # Placed by the axes' width, as no number says where it would stand.
            ax.text(
                0.01, y, entry.note, color="#B00020", size=8, va="center", transform=ax.get_yaxis_transform()
            )
            continue
        if len(entry.points) > 1:
            ax.plot(
                entry.points,
                [y - 0.22] * len(entry.points),
                "o",
                ms=3.6,
                mfc="none",
                mec=entry.look.color,
                mew=0.8,
            )
        if entry.low is not None and entry.high is not None:
            ax.plot(
                [entry.low, entry.high], [y, y], "-", lw=1.8, color=entry.look.color, solid_capstyle="butt"
            )
        ax.plot([entry.mean], [y], entry.look.marker, ms=6, color=entry.look.color)
    ax.set_ylim(-0.7, count - 0.4)
    ax.set_yticks(range(count))
    ax.set_yticklabels([short(entry.label) for entry in reversed(entries)] if names else [""] * count)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=GRID, lw=0.6)
    ax.set_xlabel(xlabel)


def clip_to(ax: Axes, entries: Sequence[Dot], low: float | None = None, high: float | None = None) -> None:
    """Keeps a wide interval (two seeds) from squeezing the points: the axis shows means and seeds with room,
    and never more than [low, high]."""
    points = [
        value for e in entries for value in (*e.points, e.mean) if value is not None and math.isfinite(value)
    ]
    if not points:
        return
    ends = points + [v for e in entries for v in (e.low, e.high) if v is not None]
    room = 1.5 * max(max(points) - min(points), 0.02)
    left, right = max(min(ends), min(points) - room), min(max(ends), max(points) + room)
    pad = 0.04 * (right - left) or 0.01
    left, right = left - pad, right + pad
    ax.set_xlim(
        left if low is None else max(left, low - pad), right if high is None else min(right, high + pad)
    )


def legend(fig: Figure, names: Sequence[str], look: Mapping[str, Look], extra: Sequence[Any] = ()) -> None:
    """One legend above the panels: one line per strategy, then the handles in `extra`."""
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=look[name].color, ls=look[name].line, lw=2, label=short(name, 40))
        for name in names
    ]
    handles = [*lines, *extra]
    if handles:
        # Inches of each entry, at the size of a legend's letters.
        widths = [0.6 + 0.072 * max(map(len, str(handle.get_label()).split("\n"))) for handle in handles]
        fig.legend(handles=handles, loc="outside upper left", ncols=_columns(widths, fig.get_figwidth()))


def _columns(widths: Sequence[float], room: float) -> int:
    """The most columns, at most four, in which entries of these widths fit side by side, dealt down each column."""
    for columns in range(min(4, len(widths)), 1, -1):
        lines = -(-len(widths) // columns)
        if sum(max(widths[k : k + lines]) for k in range(0, len(widths), lines)) <= room:
            return columns
    return 1


def metric_label(name: str) -> str:
    """`balanced_accuracy` as an axis says it."""
    known = {
        "auc_macro": "AUC, macro",
        "fd_domain": "FD (domain)",
        "kid_domain": "KID (domain)",
        "density_domain": "density (domain)",
        "coverage_domain": "coverage (domain)",
        "prdc_precision": "precision of images",
        "prdc_recall": "recall of images",
        "fid": "FID",
        "kid": "KID",
    }
    return known.get(name, name.replace("_", " "))


def bounded(metric: str) -> bool:
    """Whether a classification metric lies in [0, 1] by definition."""
    return metric in HIGHER_IS_BETTER and metric not in ("log_loss", "brier")


def seed_values(rows: Sequence[Mapping[str, Any]], column: str) -> list[float]:
    """Finite values of `column` in the rows that are done."""
    values = (number(row.get(column)) for row in rows if row["status"] == "done")
    return [value for value in values if value is not None]
