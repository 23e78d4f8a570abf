"""What a reader should know before relying on the scores of a run: "Keep in mind" in the report and in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from derm_bench.plain_text import listed
from derm_bench.report.data import ReportData, Row, group_title, number, text, unique
from derm_bench.report.extractors import disagreements

CONTROLS = ("duplicate", "noise", "blur", "shuffled-label", "more-real", "bottleneck")
"""Generators whose images carry nothing new, so that an arm with them shows what the class balance alone does."""

SAME_SHARE = 0.01
"""Two shares of a class are the same if they differ by at most this, which covers rounding of quotas."""


def keep_in_mind(data: ReportData) -> list[str]:
    """The warnings of the manifest, then those that follow from the tables. Equal ones are merged."""
    warnings = [
        str(entry.get("message", entry) if isinstance(entry, Mapping) else entry)
        for entry in data.manifest.get("warnings") or ()
    ]
    found = _once(warnings, set(data.manifest.get("datasets") or ()))
    counts = [
        int(number(r["n_seeds"]) or 0)
        for r in data.summary
        if r["metric"] == data.primary and r["classifier"]
    ]
    if counts and max(counts) == 1:
        found.append(
            "One seed: there is no interval and no verdict. A difference between two single runs says little."
        )
    elif counts and max(counts) == 2:
        found.append("Two seeds: there are no intervals and no verdicts. Three or more give both.")
    elif counts and 0 < max(counts) < 5:
        repeats = data.repeats(group[0] for group in data.groups)
        found.append(
            f"{max(counts)} {repeats} at most: intervals are wide, and small differences may be due to chance."
        )
    missing = {r["cell"] for r in data.results if r["status"] != "done"}
    if missing:
        found.append(_missing(data, missing))
    if data.results and not data.baselines:
        found.append("No baseline: nothing is compared. Name one under `compare.baselines`.")
    return unique([*found, *one_class(data), *changed_shares(data), *disagreements(data)])


def _once(warnings: Iterable[str], datasets: Collection[str]) -> list[str]:
    """The warnings, those that say the same of several data sets as one that names them all, in place of the first."""
    of: dict[tuple[str, bool], list[str]] = {}
    for warning in warnings:
        name, colon, said = warning.partition(": ")
        if colon and name in datasets:
            of.setdefault((said, True), []).append(name)
        else:
            of.setdefault((warning, False), [])
    return [f"{', '.join(unique(names))}: {said}" if named else said for (said, named), names in of.items()]


def _missing(data: ReportData, cells: Collection[str]) -> str:
    """A sentence about cells without a result, and what their arms have a mean of."""
    arms: dict[tuple[Any, ...], set[bool]] = {}
    for row in data.results:
        arm = tuple(row[name] for name in ("dataset", "train_fraction", "strategy", "classifier"))
        arms.setdefault(arm, set()).add(row["cell"] in cells)
    said = "1 cell has no result." if len(cells) == 1 else f"{len(cells)} cells have no result."
    partly = [arm for arm, missing in arms.items() if missing == {True, False}]
    if not partly:
        return said
    others = data.repeats(arm[0] for arm in partly)
    return f"{said} Where some {others} of an arm are missing, its mean is over the others."


def one_class(data: ReportData) -> list[str]:
    """A sentence about the classifiers that call every test image the same class; empty if there are none."""
    found: Counter[tuple[str, str]] = Counter()
    runs: Counter[str] = Counter()
    for row in data.results:
        if row["status"] == "done":
            arm = f"{row['strategy']}/{row['classifier']}"
            runs[arm] += 1
            name = only_class(row)
            if name is not None:
                found[arm, name] += 1
    if not found:
        return []
    named = [f"{arm} ('{name}', {n} of {runs[arm]} scores)" for (arm, name), n in found.items()]
    return [
        f"These classifiers call every test image the same class: {listed(named)}. Such scores show that the training "
        "failed, or was too short for classes of this balance; they do not compare strategies."
    ]


def only_class(row: Row) -> str | None:
    """The class that a run assigned to all test images, from its scores in results.csv; None if it assigned several.

    Of this class recall is 1, and precision is its share of the test images, which then is the accuracy as well. The
    recall of every other class is 0.
    """
    recalls = {
        name.removeprefix("recall_"): value
        for name in row
        if name.startswith("recall_") and name not in ("recall_macro", "recall_weighted")
        if (value := number(row[name])) is not None
    }
    hit = [name for name, value in recalls.items() if value == 1]
    if (
        len(recalls) < 2
        or len(hit) != 1
        or any(value != 0 for name, value in recalls.items() if name != hit[0])
    ):
        return None
    precision, accuracy = number(row.get(f"precision_{hit[0]}")), number(row.get("accuracy"))
    same = precision is not None and accuracy is not None and abs(precision - accuracy) < 1e-9
    return hit[0] if same else None


def changed_shares(data: ReportData) -> list[str]:
    """A sentence about the arms whose synthetic images change the shares of the classes, while no arm with the same
    shares, or with balanced drawing, shows what these shares do by themselves: one for all data sets and fractions in
    which these are the same arms."""
    found: dict[tuple[str, ...], list[str]] = {}
    balanced, drawn_again = _strategies(data)
    for place in unique((text(r["dataset"]), text(r["train_fraction"])) for r in data.composition):
        rows = [r for r in data.of_group(data.composition, place) if r["split"] == "train"]
        arms = {
            name: [r for r in rows if r["strategy"] == name] for name in unique(r["strategy"] for r in rows)
        }
        shares = {name: _shares(own, ("real", "synthetic")) for name, own in arms.items()}
        controls = [shares[name] for name, own in arms.items() if name in drawn_again]
        controls += [_even(shares[name]) for name in arms if name in balanced]
        alone = [
            name
            for name, own in arms.items()
            if own[0]["generator"]
            and name not in drawn_again
            and not _alike(shares[name], _shares(own, ("real",)))
            and not any(_alike(shares[name], control) for control in controls)
        ]
        if alone:
            found.setdefault(tuple(alone), []).append(group_title(place))
    return [
        f"{listed(places)}: the synthetic images of {listed(names)} change the shares of the classes, and "
        "no other arm has these shares without them. A difference may come from the shares alone: add an arm "
        "with the generator `duplicate` and the same `synthetic`, or with `balance: oversample` if the classes "
        "are filled to equal size."
        for names, places in found.items()
    ]


def _strategies(data: ReportData) -> tuple[set[str], set[str]]:
    """The strategies without a generator that draw classes equally often, and those whose generator is a control."""
    balanced, controls = set(), set()
    for entry in data.matrix.get("strategies") or ():
        if not isinstance(entry, Mapping):
            continue
        generator = entry.get("generator")
        name = str(generator.get("name")) if isinstance(generator, Mapping) else ""
        if name in CONTROLS:
            controls.add(str(entry.get("name")))
        elif not name and entry.get("balance") == "oversample":
            balanced.add(str(entry.get("name")))
    return balanced, controls


def _shares(rows: Iterable[Row], columns: Sequence[str]) -> dict[str, float]:
    """The share of each class among the images of these columns; {} if there are none."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row["class"]] += int(sum(number(row[column]) or 0 for column in columns))
    total = counts.total()
    return {name: n / total for name, n in counts.items()} if total else {}


def _even(shares: Mapping[str, float]) -> dict[str, float]:
    return dict.fromkeys(shares, 1 / max(1, len(shares)))


def _alike(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    return all(abs(one.get(name, 0) - other.get(name, 0)) <= SAME_SHARE for name in {*one, *other})
