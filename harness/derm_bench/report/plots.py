"""The common style of all figures: sizes, one colour per strategy, dots with intervals, and saving as SVG."""

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

# The palette of Okabe and Ito, which is suitable for colour-blind readers, without its yellow (too pale on white).
HUES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195")
BASELINE = "#4D4D4D"
GRID = "#D9D9D9"
MARKERS = "osD^vPX"
OVERLAID = 6
"""The maximum number of strategies in one panel of curves that stays readable."""

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
    "svg.hashsalt": "derm-bench",  # equal figures give equal bytes
}


@contextmanager
def style() -> Iterator[None]:
    """Applies the matplotlib settings of the report inside a `with` block, and restores the previous ones."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):  # type: ignore[arg-type]  # its keys are typed as literals
        yield


@dataclass(frozen=True)
class Look:
    """The appearance of a strategy, the same in every figure."""

    color: str
    marker: str
    line: str


def looks(data: ReportData) -> dict[str, Look]:
    """Colour, marker and line style of each strategy: the first baseline is dark grey, the others follow the order of
    the matrix."""
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
    """Divides names into groups that fit one panel. The first name that is in `first` (baselines) is in every group."""
    if len(names) <= OVERLAID + 1:
        return [list(names)] if names else []
    fixed = [name for name in names if name in first][:1]
    rest = [name for name in names if name not in fixed]
    return [fixed + rest[k : k + OVERLAID] for k in range(0, len(rest), OVERLAID)]


def figure(width: float, height: float) -> Figure:
    """An empty figure with constrained layout; sizes are in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(fig: Figure, path: Path) -> None:
    """Writes an SVG without a date. Letters are drawn as outlines, so it looks the same on every machine."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    # Not `savefig`, which draws the figure a second time for its layout, although drawing already computes the layout.
    FigureCanvasSVG(fig).print_svg(path, metadata={"Date": None, "Creator": "derm-bench"})


def save_pdf(fig: Figure, path: Path) -> None:
    """Writes a PDF without a date."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    FigureCanvasPdf(fig).print_pdf(path, metadata={"CreationDate": None, "Creator": "derm-bench"})


def short(label: str, width: int = 26) -> str:
    """A label that fits beside an axis: it is broken after a comma, dash, bracket, slash or space, and its middle is
    omitted if it is very long."""
    if len(label) > 2 * width:
        label = f"{label[: width + 4]}…{label[-(width - 6) :]}"
    if len(label) <= width:
        return label
    cut = max((label.rfind(mark, 0, width) for mark in ",-[/ "), default=-1)
    cut = cut + 1 if cut > width // 3 else width
    return f"{label[:cut]}\n{label[cut:]}"


@dataclass(frozen=True)
class Dot:
    """One line of a dot plot: the mean with its interval, and the values of single seeds. hollow: a difference that the
    data do not support."""

    label: str
    mean: float | None
    low: float | None
    high: float | None
    points: Sequence[float]
    look: Look
    note: str = "no result"
    hollow: bool = False


def dot_height(rows: int) -> float:
    """The height in inches of a dot plot with `rows` lines, without its axis."""
    return 0.34 * rows + 0.25


def dots(ax: Axes, entries: Sequence[Dot], xlabel: str, *, names: bool = True) -> None:
    """Draws the entries from top to bottom, with a filled mark and a bar for mean and interval, and hollow marks for
    seeds."""
    count = len(entries)
    for row, entry in enumerate(entries):
        y = count - 1 - row
        if entry.mean is None:
            # Placed relative to the width of the axes, since there is no value to place it at.
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
        fill = "white" if entry.hollow else entry.look.color
        ax.plot([entry.mean], [y], entry.look.marker, ms=6, color=entry.look.color, mfc=fill)
    ax.set_ylim(-0.7, count - 0.4)
    ax.set_yticks(range(count))
    ax.set_yticklabels([short(entry.label) for entry in reversed(entries)] if names else [""] * count)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x", color=GRID, lw=0.6)
    ax.set_xlabel(xlabel)


def clip_to(ax: Axes, entries: Sequence[Dot], low: float | None = None, high: float | None = None) -> None:
    """Limits the axis to the means and seeds with some room, and to at most [low, high], so that a wide interval (of
    two seeds) does not compress the points."""
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
    """Adds a legend above the panels with one line per strategy, then the handles in `extra`."""
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=look[name].color, ls=look[name].line, lw=2, label=short(name, 40))
        for name in names
    ]
    handles = [*lines, *extra]
    if handles:
        # The width of each entry in inches, for the font size of legends.
        widths = [0.6 + 0.072 * max(map(len, str(handle.get_label()).split("\n"))) for handle in handles]
        fig.legend(handles=handles, loc="outside upper left", ncols=_columns(widths, fig.get_figwidth()))


def _columns(widths: Sequence[float], room: float) -> int:
    """The largest number of columns, at most four, in which entries of these widths fit, filled column by column."""
    for columns in range(min(4, len(widths)), 1, -1):
        lines = -(-len(widths) // columns)
        if sum(max(widths[k : k + lines]) for k in range(0, len(widths), lines)) <= room:
            return columns
    return 1


def metric_label(name: str) -> str:
    """The label of a metric on an axis, such as `balanced accuracy`."""
    known = {
        "auc_macro": "AUC, macro",
        "mmd_domain": "distance (domain)",
        "nn_ratio": "nearest-neighbour ratio",
        "nn_closer": "nearer to training images",
        "nn_ratio_pixels": "nearest-neighbour ratio (pixels)",
        "nn_closer_pixels": "nearer to training images (pixels)",
        "nn_accuracy_domain": "1-NN accuracy (domain)",
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
    """The finite values of `column` in the rows that are done."""
    values = (number(row.get(column)) for row in rows if row["status"] == "done")
    return [value for value in values if value is not None]
