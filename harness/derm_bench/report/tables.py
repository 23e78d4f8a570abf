"""Formats numbers for tables, and tables as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from derm_bench.report.data import Row, number, same
from derm_bench.stats.verdict import shown as shown_p


def planned(results: Sequence[Row], group: Sequence[str], strategy: str, classifier: str) -> list[Row]:
    """All planned runs of an arm, finished or not; `group` is (dataset, train_fraction, test_set)."""
    wanted = (*group, strategy, classifier)
    keys = ("dataset", "train_fraction", "test_set", "strategy", "classifier")
    return [
        row for row in results if all(same(row[key], value) for key, value in zip(keys, wanted, strict=True))
    ]


def mean_of(row: Row, metric: str = "", runs: Sequence[Row] = (), digits: int = 3) -> str:
    """The mean of a row of summary.csv with its interval, `0.712 [0.678, 0.746]`; a dash without seeds.

    Two seeds have no interval: their values are shown if `runs`, the rows of results.csv, are given, `0.712 (0.700,
    0.724)`. A mean over fewer runs than planned says so: `0.712 [0.678, 0.746], 4 of 5`.
    """
    mean, low, high = (number(row.get(name)) for name in ("mean", "ci_low", "ci_high"))
    if mean is None:
        return "–"
    shown = f"{mean:.{digits}f}"
    if low is not None and high is not None:
        shown += f" [{low:.{digits}f}, {high:.{digits}f}]"
    elif number(row.get("n_seeds")) == 2:
        known = (number(run.get(metric)) for run in runs if run["status"] == "done")
        values = [f"{value:.{digits}f}" for value in known if value is not None]
        shown += f" ({', '.join(values)})" if values else ""
    k, n = number(row.get("n_seeds")), number(row.get("n_planned"))
    return f"{shown}, {k:.0f} of {n:.0f}" if k is not None and n is not None and k < n else shown


def difference(row: Row, digits: int = 3) -> str:
    """The difference and its interval, `+0.021 [-0.004, +0.046]`; '' without a comparison."""
    delta, low, high = (number(row.get(name)) for name in ("delta", "delta_ci_low", "delta_ci_high"))
    if delta is None:
        return ""
    point = f"{delta:+.{digits}f}"
    return point if low is None or high is None else f"{point} [{low:+.{digits}f}, {high:+.{digits}f}]"


def without_columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], empty: Mapping[str, Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Leave out the columns that say nothing: those of a name in `empty` whose cells are all among its values."""
    kept = [
        k
        for k, name in enumerate(header)
        if name not in empty or any(row[k] not in empty[name] for row in rows)
    ]
    return [header[k] for k in kept], [[row[k] for k in kept] for row in rows]


SUPPORTED = ("helps", "hurts")
"""The verdicts that a difference is marked for."""


def supported(row: Row) -> bool:
    """Whether the data support the difference of a row of summary.csv."""
    return row.get("verdict") in SUPPORTED


def verdict(row: Row) -> str:
    """The verdict with its numbers: `helps (p = 0.012)`; '' without one."""
    word, p = row.get("verdict") or "", number(row.get("p_holm"))
    return (
        f"{word} (p {'' if p < 0.001 else '= '}{shown_p(p)})" if word in SUPPORTED and p is not None else word
    )


def done_of_planned(runs: Sequence[Row]) -> str:
    """`3` if every planned run is done, otherwise `2 of 3`."""
    done = sum(row["status"] == "done" for row in runs)
    return str(done) if done == len(runs) else f"{done} of {len(runs)}"


_MARKDOWN = {ord(mark): f"\\{mark}" for mark in "\\`*_[]|#~$"} | {
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord("&"): "&amp;",
}


def markdown_escape(value: Any) -> str:
    """The value as escaped Markdown text on one line."""
    return " ".join(str(value).split()).translate(_MARKDOWN)


def markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[Any]], escape: Callable[[Any], str] = markdown_escape
) -> str:
    """A Markdown table. Columns in which all non-empty cells start like a number are aligned to the right."""
    cells = [[escape("" if value is None else value) for value in row] for row in rows]
    right = [
        all(row[k][:1] in "+-–0123456789." for row in cells if row[k]) and bool(cells)
        for k in range(len(header))
    ]
    lines = [[escape(name) for name in header], ["---:" if flag else "---" for flag in right], *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
