"""The tables of the classification accuracy score of samples, and of its reverse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from derm_bench.report.data import ReportData, Row, group_title, number, text, unique
from derm_bench.report.view import Table
from derm_bench.rundir.accuracy_scores import CAS, REVERSE, is_score

TITLES = {
    CAS: "Classification accuracy score: trained on samples, tested on real images",
    REVERSE: "Reverse score: trained on real images, tested on samples",
}
NOTES = {
    CAS: "Accuracy of the classifier that is trained on samples alone, over that of the same classifier trained on as "
    "many real images of each class, on the same test images; for each class the same of its recall. 1: the samples "
    "stand for real images; less: what they lack costs so much.",
    REVERSE: "Balanced accuracy on samples of the classifier that is trained on real images, over that on real test "
    "images; for each class the same of its recall. Less than 1: samples of a class do not look like it. More than 1: "
    "they are more typical than real images, as those of a generator with few modes.",
}


def scores(data: ReportData) -> list[Table]:
    """One table for each of the two scores that summary.csv has."""
    rows = [row for row in data.summary if is_score(row["metric"])]
    return [table for name in TITLES for table in _table(data, name, rows)]


def _table(data: ReportData, name: str, rows: Sequence[Row]) -> Iterator[Table]:
    own = {_place(row): row for row in rows if row["metric"] == name}
    if not own:
        return
    prefix = f"{name}_recall_"
    by_class = {(*_place(row), row["metric"]): row for row in rows if row["metric"].startswith(prefix)}
    metrics = unique(metric for *_, metric in by_class)
    body = [
        [
            group_title(place[:2]),
            row["test_set"],
            row["strategy"],
            row["classifier"],
            row["baseline"],
            _score(row),
            *(_score(by_class.get((*place, metric), {})) for metric in metrics),
            row.get("reason") or "",
        ]
        for place, row in own.items()
    ]
    heads = ("data", "test set", "strategy", "classifier", "relative to", "score")
    header = [*heads, *(metric.removeprefix(prefix) for metric in metrics), "why not"]
    yield Table(TITLES[name], header, body, f"{NOTES[name]} In brackets {data.level} intervals.")


def _place(row: Row) -> tuple[str, ...]:
    fraction = text(row["train_fraction"])
    return (row["dataset"], fraction, row["test_set"], row["strategy"], row["classifier"])


def _score(row: Row) -> str:
    mean, low, high = (number(row.get(name)) for name in ("mean", "ci_low", "ci_high"))
    if mean is None:
        return "–"
    return f"{mean:.2f}" if low is None or high is None else f"{mean:.2f} [{low:.2f}, {high:.2f}]"
