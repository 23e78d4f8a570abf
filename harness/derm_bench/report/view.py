"""The tables of a report as text, for the HTML and the Markdown page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from derm_bench.report import plots
from derm_bench.report.data import CONTROL, ReportData, Row, group_title, metric_columns, number, text, unique
from derm_bench.report.tables import difference, done_of_planned, mean_of, planned, verdict, without_columns
from derm_bench.report.training_figures import latest
from derm_bench.rundir.accuracy_scores import is_score


@dataclass(frozen=True)
class Bar:
    """An interval drawn in a table cell: left, width and mean in percent of the cell width, and a CSS colour."""

    left: float
    width: float
    mean: float
    color: str


@dataclass(frozen=True)
class Table:
    """A table of text. `bars`, if any, are shown in a column after the third. `flagged` rows are incomplete or have a
    problem."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    bars: Sequence[Bar | None] = ()
    flagged: frozenset[int] = field(default_factory=frozenset)


def headline(data: ReportData) -> list[Table]:
    """The primary metric of every arm with its interval and its differences, one table per group."""
    return [
        _headline(data, group)
        for group in data.groups
        if any(r["classifier"] for r in data.of_group(data.results, group))
    ]


def _headline(data: ReportData, group: tuple[str, str, str]) -> Table:
    scores = [r for r in data.of_group(data.summary, group) if r["metric"] == data.primary]
    versus = data.in_order_of_matrix(r["baseline"] for r in scores if r["baseline"])
    ranked = any(number(r.get("rank_low")) is not None for r in scores)
    look = plots.looks(data)
    rows: list[list[str]] = []
    firsts: list[tuple[Row, str]] = []
    flagged: set[int] = set()
    for strategy, classifier in _arms(data, group):
        runs = planned(data.results, group, strategy, classifier)
        own = [r for r in scores if (r["strategy"], r["classifier"]) == (strategy, classifier)]
        by_baseline = {r["baseline"]: r for r in own}
        first = own[0] if own else {}
        if any(r["status"] != "done" for r in runs):
            flagged.add(len(rows))
        cells = [strategy, classifier, mean_of(first, data.primary, runs), done_of_planned(runs)]
        for name in versus:
            cells += [difference(by_baseline.get(name, {})), verdict(by_baseline.get(name, {}))]
        cells += [_rank(first)] * ranked
        rows.append(cells)
        color = look[strategy].color
        firsts.append((first, "var(--quiet)" if color == plots.BASELINE else color))
    name, direction = plots.metric_label(data.primary), data.direction(data.primary)
    shown = f"{name} ({direction})" if direction == "lower is better" else name
    repeats = data.repeats(group[:1])
    header = ["strategy", "classifier", shown, repeats]
    for each in versus:
        header += [f"Δ to {each}", "verdict"]
    header += ["rank"] * ranked
    header, rows = without_columns(header, rows, {"verdict": ("", "inconclusive")})
    note = (
        f"Mean with its {data.level} interval, which covers other {repeats} and other test images. Δ is the mean "
        f"paired difference under the same {repeats} with its own interval"
        f"{'' if direction != 'lower is better' else ': below zero is better'}. Two {repeats} have no interval: both "
        "values are shown."
    )
    if ranked:
        note += (
            " Rank: all ranks that an arm may have, and letters; arms that share one cannot be told apart."
        )
    if flagged:
        note += " In marked rows some planned runs are missing: the mean over the others may be too good."
    return Table(group_title(group), header, rows, note, _bars(firsts), frozenset(flagged))


def _rank(row: Row) -> str:
    """The ranks that an arm may have, with its groups: `1–3 a b`; '' if it is not ranked."""
    low, high = number(row.get("rank_low")), number(row.get("rank_high"))
    if low is None or high is None:
        return ""
    span = f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"
    return f"{span} {row.get('rank_groups') or ''}".strip()


def _arms(data: ReportData, group: Sequence[str]) -> list[tuple[str, str]]:
    rows = data.of_group(data.results, group)
    present = unique((r["strategy"], r["classifier"]) for r in rows)
    order = {name: k for k, name in enumerate(data.strategies)}
    return sorted(present, key=lambda arm: order[arm[0]])


def _bars(rows: Sequence[tuple[Row, str]]) -> list[Bar | None]:
    """The intervals on a common scale, which shows all means and at most their range on either side."""
    means = [value for row, _ in rows if (value := number(row.get("mean"))) is not None]
    if not means:
        return [None] * len(rows)
    room = max(max(means) - min(means), 0.01)
    ends = [
        value
        for row, _ in rows
        for name in ("ci_low", "ci_high")
        if (value := number(row.get(name))) is not None
    ]
    low = max(min([*means, *ends]), min(means) - room) - 0.03 * room
    high = min(max([*means, *ends]), max(means) + room) + 0.03 * room
    return [_bar(row, color, low, high) for row, color in rows]


def _bar(row: Row, color: str, low: float, high: float) -> Bar | None:
    mean = number(row.get("mean"))
    if mean is None:
        return None

    def place(value: float | None) -> float:
        clipped = min(max(mean if value is None else value, low), high)
        return round(100 * (clipped - low) / (high - low), 2)

    left, right = place(number(row.get("ci_low"))), place(number(row.get("ci_high")))
    return Bar(left, round(right - left, 2), place(mean), color)


def failures(data: ReportData) -> Table | None:
    """The runs that are not done, with the reasons; None if all are done."""
    rows = [
        [r["cell"], r["test_set"], r["status"], r["error"]] for r in data.results if r["status"] != "done"
    ]
    if not rows:
        return None
    header, note = ["cell", "test set", "status", "reason"], ""
    if len(rows) > 200:
        note = f"The first 200 of {len(rows)}; results.csv lists all."
    return Table("", header, rows[:200], note)


def per_class(data: ReportData) -> list[Table]:
    """Recall of each class, one table per group."""
    return [
        table
        for group in data.groups
        if (
            table := _metric_table(
                data,
                group,
                lambda m: m.startswith("recall_") and not m.endswith(("_macro", "_weighted")),
                "recall_",
            )
        )
    ]


def all_metrics(data: ReportData) -> list[Table]:
    """All metrics that do not refer to a single class, one table per group."""
    metrics = metric_columns(data.results)
    classes = {m.removeprefix("recall_") for m in metrics if m.startswith("recall_")} - {"macro", "weighted"}

    def overall(metric: str) -> bool:
        return not is_score(metric) and not any(
            metric == f"{stem}_{name}" for stem in ("recall", "precision", "f1", "auc") for name in classes
        )

    return [table for group in data.groups if (table := _metric_table(data, group, overall, ""))]


def _metric_table(
    data: ReportData, group: Sequence[str], wanted: Callable[[str], bool], prefix: str
) -> Table | None:
    rows = data.of_group(data.summary, group)
    metrics = [m for m in unique(r["metric"] for r in rows) if wanted(m)]
    metrics = [m for m in metrics if any(r["metric"] == m and number(r["mean"]) is not None for r in rows)]
    if not metrics:
        return None
    found = {(r["strategy"], r["classifier"], r["metric"]): r for r in rows}
    body = [[s, c, *(mean_of(found.get((s, c, m), {})) for m in metrics)] for s, c in _arms(data, group)]
    header = [
        "strategy",
        "classifier",
        *(m.removeprefix(prefix) if prefix else plots.metric_label(m) for m in metrics),
    ]
    return Table(group_title(group), header, body)


def fidelity(data: ReportData) -> list[Table]:
    """Image metrics at the last step, one table per data set, training fraction and metric, with one column per class.
    The first row is the real-holdout control, the last one the noise."""
    tables = []
    for place in unique((text(r["dataset"]), text(r["train_fraction"])) for r in data.fidelity):
        rows = latest(data.of_group(data.fidelity, place))
        for metric in unique(r["metric"] for r in rows):
            tables.append(_fidelity(data, place, metric, [r for r in rows if r["metric"] == metric]))
    return tables


def _fidelity(data: ReportData, place: Sequence[str], metric: str, rows: Sequence[Row]) -> Table:
    classes = unique(r["class"] for r in rows)
    labels = unique((r["strategy"], r["generator"]) for r in rows)
    noise = [x for x in labels if x == (CONTROL, "noise")]
    controls = [x for x in labels if x[0] == CONTROL and x not in noise]
    ordered = [*controls, *(x for x in labels if x[0] != CONTROL), *noise]
    body = []
    for strategy, generator in ordered:
        own = [r for r in rows if (r["strategy"], r["generator"]) == (strategy, generator)]
        seeds = len({(text(r["split_seed"]), text(r["generator_seed"])) for r in own})
        name = f"control: {generator}" if strategy == CONTROL else strategy
        counts = _span(number(r["n_synthetic"]) for r in own)
        values = [_spread([number(r["value"]) for r in own if r["class"] == c]) for c in classes]
        body.append([name, generator if strategy != CONTROL else "", *values, counts, str(seeds)])
    extractor = ", ".join(unique(str(r["extractor"]) for r in rows if r.get("extractor")))
    reference = ", ".join(unique(str(r["reference"]) for r in rows if r.get("reference")))
    better = data.direction(metric)
    note = f"Mean, and range over seeds{better and f'; {better}'}. Extractor: {extractor or 'not recorded'}; "
    note += f"reference: {reference or 'not recorded'}."
    said = unique(f"{r['class'] or 'all'}: {r['note']}" for r in rows if r.get("note"))
    note += f" {'; '.join(said)}." if said else ""
    header = ["images of", "generator", *(c or "all" for c in classes), "images per side", "seeds"]
    return Table(f"{group_title(place)}: {plots.metric_label(metric)}", header, body, note)


HEALTH = {
    "distance_ratio": ("sample distance", "the mean pixel distance of two samples"),
    "coarse_ratio": ("sample distance at 4x4", "the same at 4x4 pixels, without noise and fine patterns"),
    "nearest_ratio": ("distance to real", "the median distance of a sample to its nearest real image"),
}


def health(data: ReportData) -> Table | None:
    """How similar samples are to training images at the end of each fit, one row per class and seed; None if no
    generator was fitted."""
    fitted = data.manifest.get("health") or ()
    shown = [name for name in HEALTH if any(name in row["figures"] for row in fitted)]
    body = []
    for row in fitted:
        place = group_title((row["dataset"], text(row["train_fraction"])))
        values = (number(row["figures"].get(name)) for name in shown)
        figures = ["–" if value is None else f"{value:.2g}" for value in values]
        body.append(
            [
                place,
                row["strategy"],
                row["class"],
                str(row["generator_seed"]),
                *figures,
                "; ".join(row["flags"]),
            ]
        )
    if not body:
        return None
    header = ["data", "strategy", "class", "seed", *(HEALTH[name][0] for name in shown), "what is wrong"]
    note = "; ".join(f"{HEALTH[name][0]}: {HEALTH[name][1]}" for name in shown)
    note = f"{note[:1].upper()}{note[1:]}. Relative to the same distance among training images, at 64 pixels."
    flagged = frozenset(k for k, row in enumerate(fitted) if row["flags"])
    return Table("Samples at the end of training", header, body, note, flagged=flagged)


def _spread(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    mean = f"{sum(known) / len(known):.3g}"
    return mean if min(known) == max(known) else f"{mean} ({min(known):.2g}–{max(known):.2g})"


def _span(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    return f"{min(known):g}" if min(known) == max(known) else f"{min(known):g}–{max(known):g}"


def composition(data: ReportData) -> list[Table]:
    """Training images, real + synthetic, one table per data set and training fraction."""
    tables = []
    for place in unique((text(r["dataset"]), text(r["train_fraction"])) for r in data.composition):
        rows = data.of_group(data.composition, place)
        train = [r for r in rows if r["split"] == "train"]
        classes = unique(r["class"] for r in rows)
        body = [
            [name, *(_count(r for r in train if (r["strategy"], r["class"]) == (name, c)) for c in classes)]
            for name in unique(r["strategy"] for r in train)
        ]
        for split in (s for s in unique(r["split"] for r in rows) if s != "train"):
            own = [r for r in rows if r["split"] == split]
            body.append(
                [f"{split} (all strategies)", *(_count(r for r in own if r["class"] == c) for c in classes)]
            )
        note = "Images of one run, real + synthetic; a range where seeds differ."
        tables.append(Table(f"{group_title(place)}: training sets", ["strategy", *classes], body, note))
    return tables


def _count(rows: Iterable[Row]) -> str:
    kept = list(rows)
    real, synthetic = (_span(number(r[key]) for r in kept) for key in ("real", "synthetic"))
    return f"{real} + {synthetic}" if synthetic not in ("", "0") else real


def costs(data: ReportData) -> Table | None:
    """Seconds and memory per run, as means over the finished runs of each arm; None if no run is done."""
    columns = {
        "updates": "updates", "generator_seconds": "generator s", "generator_seconds_shared": "its share s",
        "train_seconds": "training s", "eval_seconds": "evaluation s", "peak_memory_mb": "memory MB",
        "peak_device_mb": "device MB",
    }  # fmt: skip
    done = [r for r in data.results if r["status"] == "done"]
    rows = []
    for dataset, fraction, strategy, classifier in unique(
        (r["dataset"], text(r["train_fraction"]), r["strategy"], r["classifier"]) for r in done
    ):
        own = [
            r
            for r in data.of_group(done, (dataset, fraction))
            if (r["strategy"], r["classifier"]) == (strategy, classifier)
        ]
        values = [_average([number(r.get(name)) for r in own]) for name in columns]
        rows.append([group_title((dataset, fraction)), strategy, classifier, *values])
    note = (
        "Per run, mean over seeds; memory is the peak of the process. Generator s: fitting and sampling; its share s: "
        "the same divided by the runs that share it."
    )
    return Table("", ["data", "strategy", "classifier", *columns.values()], rows, note) if rows else None


def _average(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    mean = sum(known) / len(known)
    return f"{mean:,.0f}" if mean >= 100 or mean == round(mean) else f"{mean:.1f}"
