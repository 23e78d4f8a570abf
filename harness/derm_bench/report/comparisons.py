"""The tables of a report about comparisons: verdicts and their reasons, sources of variance, pairs of models,
data sets, subgroups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from derm_bench.report.across_data_sets import over_data_sets
from derm_bench.report.data import ReportData, Row, group_title, number, text, unique
from derm_bench.report.tables import difference, supported, without_columns
from derm_bench.report.view import Table
from derm_bench.rundir.pairs import DELONG, MCNEMAR
from derm_bench.stats.verdict import shown

SOURCES = {
    "variance_seed": "seeds",
    "variance_split": "splits",
    "variance_generator": "generator seeds",
    "variance_classifier": "classifier seeds",
    "variance_test": "test images",
}
MOST_ROWS = 200


def verdicts(data: ReportData) -> list[Table]:
    """The comparisons of the primary metric with their numbers and reasons, one table per group."""
    return [table for group in data.groups if (table := _verdicts(data, group)) is not None]


def _verdicts(data: ReportData, group: Sequence[str]) -> Table | None:
    rows = [
        row
        for row in data.of_group(data.summary, group)
        if row["metric"] == data.primary and row["baseline"] and row.get("verdict")
    ]
    if not rows:
        return None
    header = [
        "strategy",
        "classifier",
        "baseline",
        "Δ",
        "p",
        "p (Holm)",
        "verdict",
        "false claim",
        "variance from",
    ]
    body = [
        [
            row["strategy"],
            row["classifier"],
            row["baseline"],
            difference(row),
            *(_p(row.get(name)) for name in ("p_value", "p_holm")),
            row["verdict"].upper() if supported(row) else row["verdict"],
            _percent(row.get("false_claim")),
            _sources(row),
            row.get("reason") or "",
        ]
        for row in rows
    ]
    note = (
        f"A difference helps or hurts if p < {data.alpha:g} after Holm's correction over the comparisons of this data "
        f"set and test set; it is equivalent if its {100 * (1 - 2 * data.alpha):g}% interval lies within "
        f"±{data.margin:g}; otherwise the run cannot tell. False claim: the probability that the true difference is "
        "zero or has the other sign. Variance from: the sources of the difference's variance, in percent."
    )
    unknown = dict.fromkeys(("p", "p (Holm)", "false claim", "variance from"), ("",))
    return Table(group_title(group), *without_columns([*header, "why"], body, unknown), note)


def pairs(data: ReportData) -> list[Table]:
    """McNemar's and DeLong's tests of pairs of trained models, one table per group; at most `MOST_ROWS` rows each."""
    found = []
    for group in data.groups:
        rows = data.of_group(data.pairs, group)
        if rows:
            found.append(_pairs(group_title(group), rows))
    return found


def _pairs(title: str, rows: Sequence[Row]) -> Table:
    models: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        models.setdefault((row["cell"], row["baseline_cell"]), []).append(row)
    classes = unique(row["class"] for row in rows if row["test"] == DELONG)
    body = []
    for (cell, base), own in list(models.items())[:MOST_ROWS]:
        tests = {(row["test"], row["class"]): row for row in own}
        first = tests.get((MCNEMAR, ""), {})
        areas = [_area(tests.get((DELONG, name), {})) for name in classes]
        body.append(
            [cell, base, str(own[0]["n_images"]), _discordant(first), *areas, first.get("note") or ""]
        )
    header = ["model", "baseline", "images", "McNemar", *(f"DeLong, {name}" for name in classes), "why not"]
    note = (
        "McNemar: the images that only the model : only the baseline gets right. DeLong: the area under the ROC curve "
        "of the class and the baseline's, for two classes that of the last. Of each lesion or patient one image is "
        "taken. These tests are about two trained models; they say nothing about other seeds, no verdict uses them, "
        "and p is not corrected for their number."
    )
    if len(models) > MOST_ROWS:
        note += f" The first {MOST_ROWS} of {len(models)} pairs are shown; pairs.csv has all."
    return Table(title, *without_columns(header, body, {"why not": ("",)}), note)


def _discordant(row: Row) -> str:
    values = [number(row.get(name)) for name in ("value", "baseline_value", "p_value")]
    if any(value is None for value in values):
        return "–"
    return f"{values[0]:.0f} : {values[1]:.0f}, p = {_p(values[2])}"


def _area(row: Row) -> str:
    one, two, p = (number(row.get(name)) for name in ("value", "baseline_value", "p_value"))
    if one is None or two is None:
        return "–"
    return f"{one:.3f} / {two:.3f}" + ("" if p is None else f", p = {_p(p)}")


def _p(value: object) -> str:
    p = number(value)
    return "" if p is None else shown(p)


def _percent(value: object) -> str:
    share = number(value)
    return "" if share is None else "<0.1%" if share < 0.001 else f"{100 * share:.2g}%"


def _sources(row: Row) -> str:
    """The shares of the sources in the variance, `seeds 80%, test images 20%`."""
    parts = {name: value for key, name in SOURCES.items() if (value := number(row.get(key))) is not None}
    total = sum(parts.values())
    return ", ".join(f"{name} {100 * part / total:.0f}%" for name, part in parts.items()) if total else ""


def data_sets(data: ReportData) -> Table | None:
    """Average ranks of the arms over data sets, with the arms that differ by Wilcoxon's test."""
    found = over_data_sets(data)
    if found is None:
        return None
    arms, result = found
    body = []
    for k in sorted(range(len(arms)), key=lambda k: result.ranks[k]):
        other = [arms[i + j - k] for (i, j), p in result.p_holm.items() if k in (i, j) and p < data.alpha]
        body.append([arms[k], f"{result.ranks[k]:.2f}", ", ".join(other)])
    friedman = "" if result.friedman_p is None else f" Friedman's test: p = {shown(result.friedman_p)}."
    note = (
        f"Mean rank over data sets, 1 is best. Nemenyi's critical difference of two mean ranks is "
        f"{result.critical_difference:.2f}.{friedman} {result.statement} Seeds are not data sets."
    )
    header = ["arm", "mean rank", "differs from (Wilcoxon, Holm)"]
    return Table("All data sets", header, body, note)


def subgroups(data: ReportData) -> list[Table]:
    """Balanced accuracy within the values of each attribute, one table per group and attribute."""
    return list(_subgroups(data))


def _subgroups(data: ReportData) -> Iterator[Table]:
    rows = [row for row in data.subgroups if row["metric"] == "balanced_accuracy"]
    for group in unique((row["dataset"], text(row["train_fraction"]), row["test_set"]) for row in rows):
        own = data.of_group(rows, group)
        for attribute in unique(row["attribute"] for row in own):
            yield _subgroup(group, attribute, [row for row in own if row["attribute"] == attribute])


def _subgroup(group: Sequence[str], attribute: str, rows: Sequence[Row]) -> Table:
    names = unique(row["subgroup"] for row in rows)
    arms = unique((row["strategy"], row["classifier"]) for row in rows)
    by_place = {(row["strategy"], row["classifier"], row["subgroup"]): row for row in rows}
    body: list[list[str]] = []
    flagged: set[int] = set()
    for name in names[:MOST_ROWS]:
        first = next(row for row in rows if row["subgroup"] == name)
        if first["few"]:
            flagged.add(len(body))
        cells = [_score(by_place.get((*arm, name), {})) for arm in arms]
        counts = [str(first[column]) for column in ("n_images", "n_groups", "n_rarest")]
        body.append([name, *counts, *cells, first["few"]])
    several = len(unique(classifier for _, classifier in arms)) > 1
    heads = [f"{strategy}/{classifier}" if several else strategy for strategy, classifier in arms]
    header = [attribute, "images", "lesions or patients", "of the rarest class", *heads, "too few"]
    note = (
        "Balanced accuracy over the classes that a subgroup has, with its 95% interval. Marked rows have fewer than "
        "ten lesions or patients of a class, or only one class: they show nothing reliable. Differences between "
        "subgroups are not tested."
    )
    return Table(f"{group_title(group)}: {attribute}", header, body, note, flagged=frozenset(flagged))


def _score(row: Row) -> str:
    mean, low, high = (number(row.get(name)) for name in ("mean", "ci_low", "ci_high"))
    if mean is None:
        return "–"
    return f"{mean:.3f}" if low is None or high is None else f"{mean:.3f} [{low:.3f}, {high:.3f}]"
